// What the parts of the bench share: a service, a teacher, and a small student distilled from it.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inRoot } from "../../scripts/paths.ts";
import { embeddedTeacher, startStack } from "../../scripts/stack/stack.ts";
import type { Stack } from "../../scripts/stack/stack.ts";
import type { Understudy } from "../../src/sdk/index.ts";

export const TEACHER = "smollm2-135m-instruct";
/** Layers of the student: with its embedding 64 M parameters. */
export const LAYERS = 10;
export const DATASET = "short-answers";
const DATA = inRoot("demo", "dataset", "short-answers.jsonl");

export interface Setting {
  stack: Stack;
  client: Understudy;
  run: string;
  step: number;
  /** The checkpoint's id. */
  student: string;
}

/** Takes `steps` distillation steps on the demo's data set. */
async function distil(client: Understudy, steps: number): Promise<string> {
  const run = await client.runs.create({
    name: "edge",
    teacher: TEACHER,
    student: { prune: { model: TEACHER, keep_layers: LAYERS } },
    dataset: DATASET,
    max_prompt_length: 128,
    max_length: 160,
    objective: { type: "dpkd" },
    optimizer: { learning_rate: 5e-4, total_steps: steps },
  });
  const { finished } = await client.runs.takeSteps(run.id, { to: steps });
  await finished();
  return run.id;
}

/** Runs `measure` on a service of its own, which is gone afterwards. */
export async function withStudent<T>(steps: number, measure: (setting: Setting) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "understudy-bench-"));
  const stack = await startStack({ folder, port: 0, workers: 1, models: embeddedTeacher() });
  try {
    const client = stack.client();
    await client.createModel({ name: TEACHER, source: { type: "local", name: TEACHER } });
    await client.modelReady(TEACHER);
    await client.uploadDataset(DATASET, readFileSync(DATA, "utf8"));
    console.log(`distilling ${LAYERS} of its layers for ${steps} steps`);
    const run = await distil(client, steps);
    return await measure({ stack, client, run, step: steps, student: `${run}@${steps}` });
  } finally {
    await stack.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
