// The main job in small, from an empty stack to a leaderboard: real workerd, a real worker, a real model.
import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ApiError } from "../../src/sdk/index.ts";
import type { EvaluationRecord } from "../../src/wire/evaluations.ts";
import type { Checkpoint } from "../../src/wire/runs.ts";
import { exited } from "../../scripts/stack/worker.ts";
import { collect, dataset, python, startHarness } from "./harness.ts";
import type { Harness } from "./harness.ts";

let harness: Harness;
let worker: ChildProcess;
beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.stop());
afterEach(({ task }) => {
  if (task.result?.state === "fail") console.log(harness.logs());
});

const STEPS = 100;
const optimizer = { learning_rate: 5e-3, total_steps: STEPS, warmup_steps: 10 };
const training = { dataset: "words", batch_size: 8, optimizer };

test("with no worker a job waits, and the answer says so", async () => {
  const { client, stack } = harness;
  const model = await client.createModel({ name: "tiny", source: { type: "local", name: "tiny" } });
  expect(model.status).toBe("queued");
  const job = await client.job(model.job!);
  expect(job).toMatchObject({ status: "queued", workers_available: 0 });
  expect(job.note).toMatch(/worker/);
  const early = { teacher: "tiny", student: "tiny", prompt: "p", responses: ["a"] };
  const response = await fetch(`${stack.url}/v1/scores`, {
    method: "POST",
    headers: { authorization: `Bearer ${stack.keys.admin}`, "content-type": "application/json" },
    body: JSON.stringify(early),
  });
  expect(response.status).toBe(409);
  expect(await response.json()).toMatchObject({ error: { code: "model_not_ready" } });
});

test("a worker connects, and the model becomes ready with its facts", async () => {
  const { client } = harness;
  worker = harness.startWorker();
  const model = await client.modelReady("tiny");
  expect(model.facts).toMatchObject({ architecture: "LlamaForCausalLM", layers: 4, context_length: 512 });
  const [listed] = await collect(client.workers());
  expect(listed).toMatchObject({ status: "connected", models: ["tiny"] });
});

let teacher: string;
let student: string;

test("the teacher is tuned: steps with metrics, events that resume, a checkpoint", async () => {
  const { client } = harness;
  const uploaded = await client.uploadDataset("words", dataset(48, 40));
  expect(uploaded.splits).toEqual({ train: 48, test: 40 });
  const run = await client.runs.create({
    ...training,
    name: "tune",
    student: { model: "tiny" },
    objective: { type: "sft" },
  });
  expect(await (await client.runs.takeSteps(run.id, { to: 10 })).finished()).toMatchObject({
    status: "ready",
    head: 10,
  });
  const work = await client.runs.takeSteps(run.id, { to: STEPS });
  const events = await collect(client.runs.events(run.id));

  expect(events.map((event) => event.sequence)).toEqual(events.map((_, i) => i + 1));
  const steps = events.filter((event) => event.type === "step").map((event) => event.data);
  expect(steps.map((step) => step.step)).toEqual(Array.from({ length: STEPS }, (_, i) => i + 1));
  expect(steps.at(-1)!.metrics.loss).toBeLessThan(steps[0]!.metrics.loss / 2);
  expect(steps[0]!.metrics["margin/token_mean"]).toBeNull();
  expect(await collect(client.runs.events(run.id, 20))).toEqual(events.slice(20));
  expect(await collect(client.runs.steps(run.id, { limit: 7 }))).toEqual(steps);

  const ended = await work.finished();
  expect(ended).toMatchObject({ status: "completed", head: STEPS, rows: { kept: 48, skipped: 0 } });
  expect(ended.head_hash).toBe(steps.at(-1)!.hash);
  expect(ended.state_sha256).toMatch(/^[0-9a-f]{64}$/);
  teacher = (await client.runs.checkpoint(run.id, STEPS)).id;
  await expect(client.runs.takeSteps(run.id, { to: STEPS + 1 })).rejects.toBeInstanceOf(ApiError);
});

test("a pruned student learns from it by DPKD", async () => {
  const { client } = harness;
  await client.createModel({ name: "before", source: { type: "prune", model: teacher, keep_layers: 1 } });
  expect((await client.modelReady("before")).facts).toMatchObject({ layers: 1, layer_indices: [0] });
  const run = await client.runs.create({
    ...training,
    name: "distil",
    teacher,
    student: { model: "before" },
    objective: { type: "dpkd" },
  });
  await (await client.runs.takeSteps(run.id, { to: STEPS })).finished();
  const steps = await collect(client.runs.steps(run.id));
  const [first, last] = [steps[0]!.metrics, steps.at(-1)!.metrics];
  expect(first["margin/token_mean"]!).toBeLessThan(0);
  expect(last["margin/token_mean"]!).toBeGreaterThan(first["margin/token_mean"]!);
  expect(last.argmax_agreement!).toBeGreaterThan(first.argmax_agreement!);
  expect(first.loss).toBeCloseTo(0.5 * first["loss/lm"]! + 0.5 * first["loss/distill"]!, 5);
  student = (await client.runs.checkpoint(run.id, STEPS)).id;
});

function promptOf({ prompt }: EvaluationRecord): string {
  if (typeof prompt !== "string") throw new Error("the data set has plain prompts only");
  return prompt;
}

async function download(checkpoint: Checkpoint): Promise<string> {
  const folder = join(harness.folder, "downloaded");
  mkdirSync(folder, { recursive: true });
  for (const file of checkpoint.files) {
    const bytes = Buffer.from(await (await harness.client.runs.download(checkpoint, file.name)).arrayBuffer());
    expect(bytes.length).toBe(file.bytes);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(file.sha256);
    writeFileSync(join(folder, file.name), bytes);
  }
  return folder;
}

test("evaluations rank teacher and students; records and downloads agree with transformers", async () => {
  const { client } = harness;
  const generation = { max_new_tokens: 8 };
  for (const model of [teacher, "before", student]) {
    const { id } = await client.evaluations.create({ model, dataset: "words", generation });
    expect(await client.evaluations.wait(id)).toMatchObject({ n: 40, done: 40, status: "completed" });
  }
  const board = await client.evaluations.leaderboard({ dataset: "words", split: "test" });
  expect(board.data).toHaveLength(3);
  const mean = Object.fromEntries(board.data.map((entry) => [entry.model, entry.mean]));
  expect(mean[teacher]).toBeGreaterThan(90);
  const last = board.data[2]!;
  expect(last).toMatchObject({ rank: 3, model_name: "before" });
  expect(last.high).toBeLessThan(board.data[1]!.low);
  expect(last.p_vs_best).toBeLessThan(0.05);

  const evaluation = board.data.find((entry) => entry.model === student)!.evaluation;
  const records = await collect(client.evaluations.records(evaluation, { limit: 13 }));
  expect(records.map((record) => record.item)).toEqual(Array.from({ length: 40 }, (_, i) => `test-${i}`));
  const exact = records.filter((record) => record.metrics.exact_match === 100).length;
  expect(mean[student]).toBeCloseTo((100 * exact) / 40, 9);

  const [run = "", step = ""] = student.split("@");
  const folder = await download(await client.runs.checkpoint(run, step));
  const { layers, response } = JSON.parse(python("load_checkpoint.py", folder, promptOf(records[0]!)));
  expect({ layers, response }).toEqual({ layers: 1, response: records[0]!.response });
});

test("scores and preferences agree with each other", async () => {
  const { client } = harness;
  const pair = { teacher, student };
  const [prompt, chosen, rejected] = ["Say the word red, and nothing else.", "red", "blue"];
  const scores = await client.scores({
    ...pair,
    prompt,
    responses: [chosen, rejected],
    beta: 0.5,
    return_tokens: true,
  });
  const [a, b] = [scores.data[0]!, scores.data[1]!];
  expect(a.implicit_reward).toBeCloseTo(0.5 * (a.student_logprob - a.teacher_logprob), 9);
  expect(a.preference + b.preference).toBeCloseTo(1, 9);
  const preferences = await client.preferences({ ...pair, pairs: [{ prompt, chosen, rejected }], beta: 0.5 });
  expect(preferences.data[0]!.margin).toBeCloseTo(a.implicit_reward - b.implicit_reward, 5);
  const generated = await client.preferences({ ...pair, prompts: [prompt], generation: { max_new_tokens: 8 } });
  expect(generated.data[0]!.probability).toBeLessThanOrEqual(0.5 + 1e-6);
  const same = await client.scores({ teacher, student: teacher, prompt, responses: [chosen] });
  expect(same.data[0]!.implicit_reward).toBe(0);
});

test("a worker that is told to stop leaves, and is not listed any more", async () => {
  worker.kill("SIGTERM");
  await exited(worker);
  expect(worker.exitCode).toBe(0);
  expect(await collect(harness.client.workers())).toEqual([]);
});
