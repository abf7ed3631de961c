// Log-probabilities of the exported student against PyTorch's, and whether both rank responses alike.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Precision } from "../../src/wire/exports.ts";
import { unmeasured } from "../goal.ts";
import type { Goal } from "../goal.ts";
import { call } from "../program.ts";
import { readItems } from "../score/items.ts";
import { sum } from "../stats.ts";
import type { Student } from "./exports.ts";

/** Mean of the absolute difference, nats a token. */
export const BOUNDS: Record<Precision, number> = { fp32: 1e-4, int8: 0.02, int4: 0.15 };
const FILES = [
  "ag_news",
  "common_gen",
  "commonsense_qa",
  "gsm8k_train",
  "qasc",
  "quartz",
  "sciq",
  "self_instruct_eval",
  "social_i_qa",
  "vicuna",
];
/** Of each file. */
const RESPONSES = 20;
/** Files of questions with one short answer, and of how many rows each is ranked with the answers to three others. */
const CHOICES = ["commonsense_qa", "qasc", "quartz", "sciq"];
const RANKED = 13;
/** Longer prompts are left out, characters; of a longer sequence the response is cut, tokens. */
const MAX_PROMPT = 500;
const MAX_LENGTH = 256;

const Row = z.union([
  z.object({ prompt: z.string(), completion: z.string().optional() }),
  z
    .object({ instruction: z.string(), input: z.string(), output: z.string() })
    .transform(({ instruction, input, output }) => ({ prompt: `${instruction}\n\n${input}`, completion: output })),
]);

/** By item, by response, by token. */
const Values = z.array(z.array(z.array(z.number())));
type Values = z.infer<typeof Values>;

interface Item {
  prompt: string;
  /** None where a row has no answer: the student's own is taken. */
  responses: string[];
}

function answered(path: string): Item[] {
  const lines = readFileSync(path, "utf8").split("\n");
  const rows = lines.filter((line) => line !== "").map((line) => Row.parse(JSON.parse(line)));
  return rows
    .filter(({ prompt }) => prompt.length <= MAX_PROMPT)
    .slice(0, RESPONSES)
    .map(({ prompt, completion }) => ({ prompt, responses: completion === undefined ? [] : [completion] }));
}

/** Mean and largest absolute difference of two tables of log-probabilities. */
export function apart(theirs: Values, ours: Values): { mean: number; max: number; tokens: number } {
  const [expected, found] = [theirs.flat(2), ours.flat(2)];
  const differences = expected.map((value, i) => Math.abs(value - (found[i] ?? Infinity)));
  return { mean: sum(differences) / differences.length, max: Math.max(...differences), tokens: differences.length };
}

/** Pairs of responses to one prompt whose summed log-probabilities are further apart in PyTorch than `bound` nats for each
 * token of both could explain, and those of them that are ranked the other way. */
export function ranking(theirs: Values, ours: Values, bound: number): { pairs: number; swapped: number } {
  let [pairs, swapped] = [0, 0];
  for (const [i, expected] of theirs.entries()) {
    for (const [a, first] of expected.entries()) {
      for (const [b, second] of expected.entries()) {
        const gap = sum(first) - sum(second);
        if (b <= a || Math.abs(gap) <= 2 * bound * Math.max(first.length, second.length)) continue;
        pairs += 1;
        if (Math.sign(sum(ours[i]?.[a] ?? []) - sum(ours[i]?.[b] ?? [])) !== Math.sign(gap)) swapped += 1;
      }
    }
  }
  return { pairs, swapped };
}

const apartOf = (precision: Precision): string => `${precision}: nats a token from PyTorch`;
const rankedOf = (precision: Precision): string => `${precision}: pairs ranked otherwise`;

export async function accuracy(student: Student, data: string): Promise<Goal[]> {
  if (!existsSync(data)) {
    console.log(`accuracy is left out: there is no ${data}`);
    return Precision.options.flatMap((precision) => [
      unmeasured(apartOf(precision), BOUNDS[precision]),
      unmeasured(rankedOf(precision), 0),
    ]);
  }
  const single = FILES.flatMap((name) => answered(join(data, `${name}.jsonl`)));
  const ranked = CHOICES.flatMap((name) =>
    readItems(join(data, `${name}.jsonl`), Infinity)
      .filter(({ prompt }) => prompt.length <= MAX_PROMPT)
      .slice(0, RANKED)
      .map(({ prompt, choices }) => ({ prompt, responses: choices })),
  );
  const exports = await student.folders(Precision.options);
  const request = { folder: student.folder, exports, items: [...single, ...ranked], max_length: MAX_LENGTH };
  const { pytorch, ...found } = await call(
    { file: "edge/logprobs.py" },
    request,
    z.strictObject({ pytorch: Values, fp32: Values, int8: Values, int4: Values }),
  );
  return Precision.options.flatMap((precision) => {
    const bound = BOUNDS[precision];
    const { mean, max, tokens } = apart(pytorch.slice(0, single.length), found[precision].slice(0, single.length));
    const { pairs, swapped } = ranking(pytorch.slice(single.length), found[precision].slice(single.length), bound);
    console.log(
      `${precision}: ${mean.toPrecision(2)} nats a token in the mean, ${max.toPrecision(2)} at the most, over ${tokens} tokens ` +
        `of ${single.length} responses; ${swapped} of ${pairs} pairs of responses to ${ranked.length} prompts ranked otherwise`,
    );
    return [
      { what: apartOf(precision), value: mean, goal: bound, met: mean <= bound },
      { what: rankedOf(precision), value: swapped, goal: 0, met: swapped === 0 },
    ];
  });
}
