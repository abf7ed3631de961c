// Who is measured, and how: every side and phase in a fresh process, in alternating order, on the same rows.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { HEAD_CHUNK } from "../../src/config.ts";
import { call } from "../program.ts";
import type { Program } from "../program.ts";

export const THREADS = 2;

/** Seconds and losses are of every step, warm-up included; bytes as bench/distill/harness.py says. */
const Answer = z.strictObject({
  seconds: z.array(z.number().positive()),
  losses: z.array(z.number()),
  loaded_bytes: z.int().positive(),
  peak_bytes: z.int().positive(),
  notes: z.record(z.string(), z.number()),
});
type Answer = z.infer<typeof Answer>;

export type Objective =
  | { type: "dpkd"; beta: number; kd_ratio: number }
  | { type: "jsd"; interpolation: number; kd_ratio: number }
  | { type: "forward_kl"; kd_ratio: number };

export const DPKD: Objective = { type: "dpkd", beta: 0.1, kd_ratio: 0.5 };
/** TRL's objectives have no cross entropy beside them. */
export const JSD: Objective = { type: "jsd", interpolation: 0.5, kd_ratio: 1 };
export const FORWARD_KL: Objective = { type: "forward_kl", kd_ratio: 1 };

export type TrlTrainer = "gkd" | "chunked";
/** Of TRL's trainers, the one that is faster on an objective here, by the seconds of a step of each. */
export interface Choice {
  objective: Objective["type"];
  seconds: Record<TrlTrainer, number>;
  trainer: TrlTrainer;
}

export type Phase = "cold" | "warm";

export interface Side {
  /** As in bench/distill/account.py. */
  name: string;
  program: Program;
  objective: Objective;
  options: Record<string, string | number>;
}

export const plain = (): Side => ({
  name: "plain",
  program: { file: "distill/plain.py" },
  objective: DPKD,
  options: {},
});

export const floor = (): Side => ({
  name: "floor",
  program: { file: "distill/floor.py" },
  objective: DPKD,
  options: {},
});

export const ours = (objective: Objective, phase: Phase): Side => ({
  name: `ours ${objective.type} ${phase}`,
  program: { file: "distill/ours.py" },
  objective,
  options: { phase, head_chunk: HEAD_CHUNK },
});

export const trl = (python: string, objective: Objective, trainer: TrlTrainer): Side => ({
  name: `trl ${trainer} ${objective.type}`,
  program: { file: "distill/gkd.py", interpreter: python },
  objective,
  options: { trainer },
});

export interface Measured {
  side: string;
  answer: Answer;
  /** Seconds of the steps after the warm-up. */
  seconds: number[];
  /** Which of rows.json's batches these steps were. */
  batches: number[];
}

export interface Where {
  /** With teacher/, student/ and rows.json. */
  folder: string;
  /** For what the sides leave behind; a cold side begins with it empty. */
  work: string;
}

export interface Steps {
  /** Batches of rows.json that are left out: another number in each repetition, so that each measures other rows. */
  skip: number;
  warmup: number;
  steps: number;
}

/** One process. Its cache is its objective's, so that a warm side reads what the cold side before it wrote. */
export async function measure(side: Side, where: Where, steps: Steps): Promise<Measured> {
  const work = join(where.work, side.objective.type);
  if (side.options.phase === "cold") rmSync(work, { recursive: true, force: true });
  const { objective, options } = side;
  const answer = await call(
    side.program,
    { folder: where.folder, work, objective, options, threads: THREADS, ...steps },
    Answer,
  );
  const batches = Array.from({ length: steps.steps }, (_, i) => steps.skip + steps.warmup + i);
  return { side: side.name, answer, seconds: answer.seconds.slice(steps.warmup), batches };
}

/** Every group in turn, and every second time in the reverse order; what is inside a group keeps its order. */
export function alternating<T>(groups: T[][], repetition: number): T[] {
  return (repetition % 2 === 0 ? groups : groups.toReversed()).flat();
}
