// A service of the bench's own, with a teacher and a small student that was distilled from it.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inRoot } from "../../scripts/paths.ts";
import { embeddedTeacher, startStack } from "../../scripts/stack/stack.ts";
import type { Stack } from "../../scripts/stack/stack.ts";
import type { Understudy } from "../../src/sdk/index.ts";

export const TEACHER = "smollm2-135m-instruct";
/** A student that was trained before. */
const GIVEN = "student";
const DATASET = "short-answers";
const DATA = inRoot("demo", "dataset", "short-answers.jsonl");

/** Ten layers of thirty: with its embedding 64 M parameters. So few learn the answers of these questions in three passes,
 * to an exact match of 23 to 29 of the 100 held-out ones (measured); more passes learn them by heart. */
const RECIPE = {
  student: { prune: { model: TEACHER, keep_layers: 10 } },
  objective: { type: "sft" },
  optimizer: { learning_rate: 8e-4, warmup_steps: 20, total_steps: 300 },
  batch_size: 4,
} as const;
/** What leaves the weights of a given student as they are, but for rounding: an export is of a run's checkpoint. */
const AS_IT_IS = {
  student: { model: GIVEN },
  objective: { type: "sft" },
  optimizer: { learning_rate: 1e-12, total_steps: 1 },
} as const;

export interface Setting {
  stack: Stack;
  client: Understudy;
  run: string;
  step: number;
  /** The checkpoint's id. */
  student: string;
}

/** Takes the recipe's steps on the demo's data set. */
async function train(client: Understudy, recipe: typeof RECIPE | typeof AS_IT_IS): Promise<string> {
  const to = recipe.optimizer.total_steps;
  const run = await client.runs.create({
    ...recipe,
    name: "edge",
    dataset: DATASET,
    max_prompt_length: 128,
    max_length: 160,
  });
  const { finished } = await client.runs.takeSteps(run.id, { to });
  await finished();
  return run.id;
}

/** Runs `measure` on a service whose state is under `folder`; `checkpoint` is a student to take instead of training one. */
export async function withService<T>(
  folder: string,
  checkpoint: string | undefined,
  measure: (setting: Setting) => Promise<T>,
): Promise<T> {
  const given = checkpoint === undefined ? {} : { [GIVEN]: checkpoint };
  const stack = await startStack({ folder, port: 0, workers: 1, models: { ...embeddedTeacher(), ...given } });
  try {
    const client = stack.client();
    for (const name of [TEACHER, ...Object.keys(given)]) {
      await client.createModel({ name, source: { type: "local", name } });
      await client.modelReady(name);
    }
    await client.uploadDataset(DATASET, readFileSync(DATA, "utf8"));
    const recipe = checkpoint === undefined ? RECIPE : AS_IT_IS;
    const step = recipe.optimizer.total_steps;
    if (checkpoint === undefined) console.log(`training a student for ${step} steps, a few minutes`);
    const run = await train(client, recipe);
    return await measure({ stack, client, run, step, student: `${run}@${step}` });
  } finally {
    await stack.stop();
  }
}

/** Writes the checkpoint's files into `folder`. */
export async function download({ client, run, step }: Setting, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for await (const checkpoint of client.runs.checkpoints(run)) {
    if (checkpoint.step !== step) continue;
    for (const { name } of checkpoint.files) {
      const bytes = await (await client.runs.download(checkpoint, name)).arrayBuffer();
      writeFileSync(join(folder, name), new Uint8Array(bytes));
    }
  }
}
