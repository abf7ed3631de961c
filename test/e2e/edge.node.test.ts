// A student at the edge: distilled, exported, then scored and evaluated by the real scorer with no worker left.
import type { ChildProcess } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stopWorker } from "../../scripts/stack/worker.ts";
import type { Evaluation } from "../../src/wire/evaluations.ts";
import type { ScoreList } from "../../src/wire/scores.ts";
import { collect, dataset, startHarness } from "./harness.ts";
import type { Harness } from "./harness.ts";

let harness: Harness;
let worker: ChildProcess;
let run = "";

beforeAll(async () => {
  // Wide enough for heads of a multiple of 8.
  harness = await startHarness(64);
  worker = harness.startWorker();
  const { client } = harness;
  await client.createModel({ name: "tiny", source: { type: "local", name: "tiny" } });
  await client.modelReady("tiny");
  await client.uploadDataset("words", dataset(16, 12));
  const made = await client.runs.create({
    name: "edge",
    teacher: "tiny",
    student: { prune: { model: "tiny", keep_layers: 2 } },
    dataset: "words",
    objective: { type: "dpkd" },
    optimizer: { learning_rate: 0.01, total_steps: 4 },
    batch_size: 4,
  });
  run = made.id;
  await (await client.runs.takeSteps(run, { to: 4 })).finished();
});
afterAll(() => harness.stop());

const body = (student: string) => ({
  teacher: "tiny",
  student,
  prompt: "Say the word red, and nothing else.",
  responses: ["red", "green", "a longer one, and nothing else"],
});

/** Greedily, until it is graded. */
async function evaluate(model: string): Promise<Evaluation> {
  const { evaluations } = harness.client;
  const { id } = await evaluations.create({ model, dataset: "words", generation: { max_new_tokens: 12 } });
  return evaluations.wait(id);
}

describe("a checkpoint's export", () => {
  let scored: ScoreList;
  let evaluated: Evaluation;

  test("is made by the worker, within its bound", async () => {
    const made = await harness.client.runs.export(run, 4, "fp32");
    expect(made.difference.mean).toBeLessThanOrEqual(made.difference.allowed);
    const graph = await (await harness.client.runs.download(made, "student.onnx")).arrayBuffer();
    expect(graph.byteLength).toBe(made.files.find(({ name }) => name === "student.onnx")?.bytes);
    scored = await harness.client.scores({ ...body(`${run}@4`), compute: "pool" });
    evaluated = await evaluate(`${run}@4`);
    const ahead = { teacher: "tiny", dataset: "words", split: "test" };
    await expect.poll(async () => (await harness.client.teacherScores(ahead)).jobs.length).toBe(0);
    await stopWorker(worker);
  });

  test("known scores are answered with no worker, as the worker computed them", async () => {
    const known = await harness.client.scores({ ...body(`${run}@4`), compute: "edge" });
    expect(known.computed_by).toBe("edge");
    expect(known.data).toEqual(scored.data);
  });

  test("scores what nobody has asked before, within the export's difference", async () => {
    // The first row of the split, whose teacher's side is known.
    const asked = { prompt: "Say the word red, and nothing else (0).", responses: ["red"] };
    const list = await harness.client.scores({ ...body(`${run}@4`), ...asked, compute: "edge" });
    expect(list).toMatchObject({ computed_by: "edge", teacher_cache: { hits: 1, misses: 0 } });
    expect(list.note).toMatch(/fp32 export/);
    expect(list.data[0]?.student_logprob).toBeLessThan(0);
  });

  test("answers an evaluation as the worker did, item by item", async () => {
    const edge = await evaluate(`${run}@4:fp32`);
    const said = async ({ id }: Evaluation) =>
      (await collect(harness.client.evaluations.records(id))).map(({ item, response, finish_reason, num_tokens }) => {
        return { item, response, finish_reason, num_tokens };
      });
    expect(await said(edge)).toEqual(await said(evaluated));
  });
});
