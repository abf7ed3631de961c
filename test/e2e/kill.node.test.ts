// kill -9 of the worker in the middle of work: another one goes on, and nothing tells the result from an undisturbed one.
import type { ChildProcess } from "node:child_process";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { exited } from "../../scripts/stack/worker.ts";
import type { CreateRun } from "../../src/sdk/runs.ts";
import type { Run } from "../../src/wire/runs.ts";
import { collect, dataset, startHarness } from "./harness.ts";
import type { Harness } from "./harness.ts";

/** Runs of the two kinds: with and without answers that the student draws and the pool journals. */
const RUNS: Record<string, { steps: number; at: number[]; objective: CreateRun["objective"] }> = {
  "token level": { steps: 150, at: [20, 90], objective: { type: "dpkd" } },
  "sequence level": {
    steps: 40,
    at: [6, 23],
    objective: { type: "dpkd", granularity: "sequence", sampling: { max_new_tokens: 8, refresh_every: 4 } },
  },
};
let harness: Harness;
let worker: ChildProcess;

beforeAll(async () => {
  harness = await startHarness();
  worker = harness.startWorker();
  await harness.client.createModel({ name: "tiny", source: { type: "local", name: "tiny" } });
  await harness.client.uploadDataset("words", dataset(48, 400));
  await harness.client.modelReady("tiny");
});
afterAll(() => harness.stop());
afterEach(({ task }) => {
  if (task.result?.state === "fail") console.log(harness.logs());
});

async function killWorker(): Promise<void> {
  worker.kill("SIGKILL");
  await exited(worker);
  worker = harness.startWorker();
}

/** Kills the worker once something of an evaluation is done, and not all. */
async function killAmid(read: () => Promise<{ done: number; n: number }>): Promise<void> {
  for (;;) {
    const { done, n } = await read();
    expect(done).toBeLessThan(n);
    if (done > 0) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await killWorker();
}

type Plan = (typeof RUNS)[string];

function createRun(name: string, { objective, steps }: Plan): Promise<Run> {
  return harness.client.runs.create({
    name,
    teacher: "tiny",
    student: { prune: { model: "tiny", keep_layers: 2 } },
    dataset: "words",
    objective,
    optimizer: { learning_rate: 2e-3, total_steps: steps },
    batch_size: 6,
  });
}

/** Takes all steps; kills the worker once after each of the steps `at`. */
async function train(name: string, plan: Plan, at: number[]): Promise<Run> {
  const { client } = harness;
  const { id } = await createRun(name, plan);
  const work = await client.runs.takeSteps(id, { to: plan.steps });
  const waiting = [...at];
  for await (const event of client.runs.events(id)) {
    if (event.type !== "step" || event.data.step < (waiting[0] ?? Infinity)) continue;
    waiting.shift();
    await killWorker();
  }
  expect(waiting).toEqual([]);
  return work.finished();
}

test.each(Object.entries(RUNS))("a run at %s ends with the same weights, optimizer and hashes", async (level, plan) => {
  const { client } = harness;
  const undisturbed = await train(`undisturbed at ${level}`.replaceAll(" ", "-"), plan, []);
  const disturbed = await train(`disturbed at ${level}`.replaceAll(" ", "-"), plan, plan.at);
  expect(disturbed.fence).toBeGreaterThan(undisturbed.fence);
  expect(disturbed).toMatchObject({
    status: "completed",
    head: plan.steps,
    lineage: 0,
    lineage_breaks: [],
    state_sha256: undisturbed.state_sha256,
  });
  const hashes = async (run: Run) =>
    (await collect(client.runs.steps(run.id))).map(({ step, metrics }) => [step, metrics.loss, metrics.grad_norm]);
  expect(await hashes(disturbed)).toEqual(await hashes(undisturbed));
});

test("an evaluation ends with the same records", async () => {
  const { client } = harness;
  const body = { model: "tiny", dataset: "words", generation: { max_new_tokens: 24, temperature: 1, seeds: [1] } };
  const disturbed = await client.evaluations.create(body);
  await killAmid(() => client.evaluations.get(disturbed.id));
  await client.evaluations.wait(disturbed.id);
  const undisturbed = await client.evaluations.create({ ...body, repeat: true });
  expect(undisturbed.id).not.toBe(disturbed.id);
  await client.evaluations.wait(undisturbed.id);
  const records = async (id: string) =>
    (await collect(client.evaluations.records(id))).map(({ item, seed, response, finish_reason, metrics }) => ({
      item,
      seed,
      response,
      finish_reason,
      metrics,
    }));
  const [killed, whole] = [await records(disturbed.id), await records(undisturbed.id)];
  expect(killed).toHaveLength(400);
  expect(killed).toEqual(whole);
});

test("a preference evaluation ends with the same pairs, each once", async () => {
  const { client } = harness;
  await client.createModel({ name: "half", source: { type: "prune", model: "tiny", keep_layers: 2 } });
  await client.modelReady("half");
  const generation = { max_new_tokens: 24, temperature: 1, seeds: [1] };
  const body = { student: "half", teacher: "tiny", dataset: "words", generation };
  const disturbed = await client.preferenceEvaluations.create(body);
  await killAmid(() => client.preferenceEvaluations.get(disturbed.id));
  const killed = await client.preferenceEvaluations.wait(disturbed.id);
  const undisturbed = await client.preferenceEvaluations.create({ ...body, repeat: true });
  expect(undisturbed.id).not.toBe(disturbed.id);
  const whole = await client.preferenceEvaluations.wait(undisturbed.id);
  expect(killed).toMatchObject({ status: "completed", n: 400, done: 400, metrics: whole.metrics });
  const pairs = await collect(client.preferenceEvaluations.records(disturbed.id));
  expect(pairs).toHaveLength(400);
  expect(new Set(pairs.map(({ item }) => item)).size).toBe(400);
  expect(pairs).toEqual(await collect(client.preferenceEvaluations.records(undisturbed.id)));
});
