// What the plots show: seconds a step by sequence length, memory by vocabulary. Rows of equal lengths, so nobody pads.
import { join } from "node:path";
import { z } from "zod";
import type { Line } from "./chart.ts";
import { call } from "../program.ts";
import { DPKD, measure, ours, plain } from "./sides.ts";
import type { Measured, Side } from "./sides.ts";
import { median } from "../stats.ts";

/** One dropped and one measured: a plot shows the shape, the table the figures. */
const STEPS = { skip: 0, warmup: 1, steps: 1 };
const BATCH = 8;
const SEED = 40;
/** For the plot by vocabulary: prompt and response, tokens. */
const LENGTH = 128;

interface Shape {
  vocabulary: number | null;
  prompt: number;
  response: number;
}

async function sweep(
  name: string,
  values: number[],
  options: { root: string; models: string; shape(value: number): Shape; y(measured: Measured): number },
): Promise<Line[]> {
  const lines = new Map<string, [number, number][]>();
  const sides: Side[] = [plain(), ours(DPKD, "cold"), ours(DPKD, "warm")];
  for (const value of values) {
    const folder = join(options.root, `${name}-${value}`);
    const request = { folder, models: options.models, ...options.shape(value), batch_size: BATCH, seed: SEED };
    await call({ file: "distill/synthetic.py" }, { ...request, steps: STEPS.warmup + STEPS.steps }, z.strictObject({}));
    for (const side of sides) {
      const measured = await measure(side, { folder, work: join(folder, "work") }, STEPS);
      const line = lines.get(measured.side) ?? [];
      lines.set(measured.side, [...line, [value, options.y(measured)]]);
    }
  }
  return [...lines].map(([side, points]) => ({ name: side.replace("dpkd ", ""), points }));
}

export const byLength = (root: string, models: string, lengths: number[]): Promise<Line[]> =>
  sweep("length", lengths, {
    root,
    models,
    shape: (length) => ({ vocabulary: null, prompt: length / 2, response: length / 2 }),
    y: ({ seconds }) => median(seconds),
  });

export const byVocabulary = (root: string, models: string, vocabularies: number[]): Promise<Line[]> =>
  sweep("vocabulary", vocabularies, {
    root,
    models,
    shape: (vocabulary) => ({ vocabulary, prompt: LENGTH / 2, response: LENGTH / 2 }),
    y: ({ answer }) => (answer.peak_bytes - answer.loaded_bytes) / 2 ** 20,
  });
