// Preference evaluations through the whole stack: the same pairs as POST /v1/preferences judges them, and both boards.
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { collect, startHarness } from "./harness.ts";
import type { Harness } from "./harness.ts";

const MODELS = { teacher: "tiny", student: "half" };
const PAIRS = ["red", "green", "blue", "one", "two", "three"].map((word, i) => ({
  id: `test-${i}`,
  prompt: `Say the word ${word}.`,
  chosen: word,
  rejected: i === 5 ? word : `not ${word}, but another`,
}));
const GENERATION = { max_new_tokens: 6 };
let harness: Harness;

beforeAll(async () => {
  harness = await startHarness();
  harness.startWorker();
  const { client } = harness;
  await client.createModel({ name: "tiny", source: { type: "local", name: "tiny" } });
  await client.uploadDataset("pairs", PAIRS.map((pair) => JSON.stringify(pair)).join("\n"), "test");
  await client.modelReady("tiny");
  for (const keep_layers of [1, 2]) {
    const name = keep_layers === 2 ? "half" : "quarter";
    await client.createModel({ name, source: { type: "prune", model: "tiny", keep_layers } });
    await client.modelReady(name);
  }
});
afterAll(() => harness.stop());
afterEach(({ task }) => {
  if (task.result?.state === "fail") console.log(harness.logs());
});

test("accuracy judges a data set's pairs as POST /v1/preferences does", async () => {
  const { client } = harness;
  const { id } = await client.preferenceEvaluations.create({ ...MODELS, dataset: "pairs", beta: 0.5 });
  const done = await client.preferenceEvaluations.wait(id);
  const records = await collect(client.preferenceEvaluations.records(id));
  const pairs = PAIRS.map(({ prompt, chosen, rejected }) => ({ prompt, chosen, rejected }));
  const { data, accuracy } = await client.preferences({ ...MODELS, pairs, beta: 0.5 });
  expect(done.metrics?.accuracy?.mean).toBeCloseTo(100 * accuracy, 9);
  records.forEach((record, i) => {
    expect(record.margin).toBeCloseTo(data[i]!.margin, 4);
    expect(record.probability).toBeCloseTo(data[i]!.probability, 4);
  });
  expect(records.map(({ item }) => item)).toEqual(PAIRS.map((pair) => pair.id));
  // The two equal responses of the last pair tie to the last bit.
  expect(records.at(-1)).toMatchObject({ margin: 0, correct: 0.5 });
  const board = await client.preferenceEvaluations.leaderboard({ kind: "accuracy", dataset: "pairs" });
  expect(board.data).toMatchObject([{ student_name: "half", teacher_name: "tiny", beta: 0.5, rank: 1 }]);
});

test("closeness compares what both models answer, and a copy of the teacher is the closest", async () => {
  const { client } = harness;
  const asked = { teacher: "tiny", dataset: "pairs", generation: GENERATION };
  const made = [];
  for (const student of ["quarter", "half", "tiny"]) {
    const { id } = await client.preferenceEvaluations.create({ ...asked, student });
    made.push(await client.preferenceEvaluations.wait(id));
  }
  const records = await collect(client.preferenceEvaluations.records(made[1]!.id));
  const prompts = PAIRS.map(({ prompt }) => prompt);
  const { data } = await client.preferences({ ...MODELS, prompts, generation: GENERATION });
  records.forEach((record, i) => {
    const { chosen, rejected, margin } = data[i]!;
    expect([record.chosen.response, record.rejected.response]).toEqual([chosen, rejected]);
    expect(record.margin).toBeCloseTo(margin, 4);
  });
  const mean = records.reduce((sum, { probability }) => sum + 100 * (1 - probability), 0) / records.length;
  expect(made[1]!.metrics?.student_preferred?.mean).toBeCloseTo(mean, 9);
  const query = { kind: "closeness" as const, dataset: "pairs", teacher: "tiny", generation: GENERATION };
  const board = await client.preferenceEvaluations.leaderboard(query);
  expect(board.data).toHaveLength(3);
  expect(board.data[0]).toMatchObject({ student_name: "tiny", mean: 50, strength: { value: 0, low: 0, high: 0 } });
  for (const { mean: percent, strength } of board.data) {
    expect(strength?.value).toBeCloseTo(Math.log(percent / (100 - percent)), 9);
  }
});
