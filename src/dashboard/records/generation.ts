// How responses were generated, in words.
import type { Generation } from "../../wire/generation.ts";
import { count } from "../format.ts";
import type { Read } from "../guards.ts";

type Sampled = Read<Generation>;

const sampling = ({ temperature, top_p, top_k }: Sampled): string =>
  temperature === 0
    ? "greedy"
    : [
        `temperature ${temperature}`,
        ...(top_p < 1 ? [`top-p ${top_p}`] : []),
        ...(top_k > 0 ? [`top-k ${top_k}`] : []),
      ].join(", ");

export const generationText = (generation: Sampled): string => {
  const { max_new_tokens, seeds, stop } = generation;
  const ends = stop.length === 0 ? [] : [`stops at ${stop.map((end) => JSON.stringify(end)).join(", ")}`];
  const of = `${seeds.length === 1 ? "seed" : "seeds"} ${seeds.join(", ")}`;
  return [sampling(generation), `at most ${count(max_new_tokens, "token")}`, ...ends, of].join("; ");
};
