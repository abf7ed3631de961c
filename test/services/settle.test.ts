import { env } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { beforeAll, describe, expect, it } from "vitest";
import { getEvaluation } from "../../src/services/evaluations.ts";
import { leaderboard } from "../../src/services/rank.ts";
import { recordPage } from "../../src/services/records.ts";
import { settle } from "../../src/services/settle.ts";
import type { OutboxEntry } from "../../src/store/outbox.ts";
import { comparisons, models, records, runs, steps, usage } from "../../src/store/schema.ts";
import type { Evaluation, MetricName } from "../../src/wire/evaluations.ts";
import { Generation } from "../../src/wire/generation.ts";
import { CreateRun } from "../../src/wire/runs.ts";
import type { Run } from "../../src/wire/runs.ts";
import { metrics } from "../pool/fixtures.ts";
import { TestProject, facts, hash, rows } from "./project.ts";
import { completed, entriesOf, settleAll } from "./settled.ts";

const N = 40;
let project: TestProject;
let dataset: string;
beforeAll(async () => {
  project = await TestProject.create();
  dataset = await project.dataset("short", rows(N));
});

const evaluation = (model: string, changes: Partial<Evaluation> = {}) => completed(dataset, N, model, changes);
const entries = (of: Evaluation, right: number, seeds?: number[]) => entriesOf(project.id, of, right, seeds);

const board = (metric: MetricName = "exact_match") => {
  const query = { dataset: "short", split: "test", template: "chat" as const, limit: null, pattern: null, metric };
  return leaderboard(project.context(), query);
};

const recordsOf = (id: string, page: { after?: string; changed_from?: string; limit: number }) =>
  recordPage(project.context(), id, { metric: "exact_match", ...page });

describe("a generated evaluation settles", () => {
  it("into graded records and figures, whatever is repeated", async () => {
    const of = evaluation("model_a");
    const list = entries(of, 30);
    await settleAll([...list, ...list, list[2]!, list[3]!]);
    const got = await getEvaluation(project.context(), of.id);
    expect(got.status).toBe("completed");
    expect(got.metrics?.exact_match).toMatchObject({ mean: 75, n: N });
    const { data, has_more } = await recordsOf(of.id, { limit: 100 });
    expect(has_more).toBe(false);
    expect(data.map((record) => record.item)).toEqual(rows(N).map((row) => row.id));
    expect(data[3]).toMatchObject({
      response: "Answer 3!",
      references: ["answer 3", "the answer is 3"],
      prompt: "Question 3???",
      finish_reason: "stop",
      num_tokens: 3,
      metrics: { exact_match: 100, rouge_l: 100, regex_match: null },
    });
    expect(data[35]!.metrics.exact_match).toBe(0);
  });

  it("only once every record is there: before, it throws to be called again", async () => {
    const of = evaluation("model_early");
    const [created, first, second, completed] = entries(of, 3);
    await expect(settle(env, first!)).rejects.toThrow("not in D1 yet");
    await settleAll([created!, first!]);
    await expect(settle(env, completed!)).rejects.toThrow("has 32 of 40 records");
    await settleAll([second!, completed!]);
    expect((await getEvaluation(project.context(), of.id)).metrics?.exact_match?.mean).toBeCloseTo(7.5, 9);
  });

  it("takes the mean over seeds, and knows each record's place", async () => {
    const seeds = [10, 20];
    const of = evaluation("model_seeds", { generation: Generation.parse({ seeds }) });
    await settleAll(entries(of, 20, seeds));
    const { data } = await recordsOf(of.id, { limit: 100 });
    expect(data.slice(0, 4).map((record) => record.id)).toEqual(["test-0:10", "test-0:20", "test-1:10", "test-1:20"]);
    const page = await recordsOf(of.id, { after: "test-0:20", limit: 2 });
    expect(page.data.map((record) => record.id)).toEqual(["test-1:10", "test-1:20"]);
    await expect(recordsOf(of.id, { after: "nonsense", limit: 2 })).rejects.toThrow("after");
  });

  it("an item has changed where its mean over seeds has", async () => {
    const seeds = [10, 20];
    const two = evaluation("model_two_seeds", { template: "raw", generation: Generation.parse({ seeds }) });
    const one = evaluation("model_one_seed", { template: "raw" });
    await settleAll(entries(two, 20, seeds));
    await settleAll(entries(one, 22));
    const { data } = await recordsOf(two.id, { changed_from: one.id, limit: 100 });
    expect(data.map((record) => record.id)).toEqual(["test-20:10", "test-20:20", "test-21:10", "test-21:20"]);
    expect(data[1]!.other).toMatchObject({ response: "Answer 20!", metrics: { exact_match: 100 } });
    const back = await recordsOf(one.id, { changed_from: two.id, limit: 100 });
    expect(back.data.map((record) => record.id)).toEqual(["test-20:10", "test-21:10"]);
  });

  it("with its comparisons, each pair once, so that the board only reads", async () => {
    const best = evaluation("model_best");
    const worst = evaluation("model_worst");
    await settleAll(entries(best, 38));
    await settleAll(entries(worst, 2));
    const pairs = await project.db.select().from(comparisons).where(eq(comparisons.metric, "exact_match"));
    const between = pairs.filter((row) => [row.a, row.b].includes(best.id) && [row.a, row.b].includes(worst.id));
    expect(between).toHaveLength(1);
    // 36 items differ, all one way: p = 2 / 2^36.
    expect(between[0]).toMatchObject({ n: N });
    expect(between[0]!.p).toBeCloseTo(2 / 2 ** 36, 20);
    const { data, detectable_difference } = await board();
    expect(data.map((entry) => entry.model)).toEqual([
      "model_best",
      "model_a",
      "model_seeds",
      "model_early",
      "model_worst",
    ]);
    expect(data[0]).toMatchObject({ rank: 1, group: 1, p_vs_best: null, p_vs_previous: null, mean: 95 });
    expect(data.at(-1)!.group).toBeGreaterThan(1);
    expect(data.every((entry, i) => i === 0 || entry.p_vs_best !== null)).toBe(true);
    expect(detectable_difference).toBeGreaterThan(5);
    expect((await board("rouge_l")).data).toHaveLength(5);
  });

  it("and shows the newest evaluation of each model", async () => {
    const again = evaluation("model_worst", { created_at: new Date(Date.now() + 1000).toISOString() });
    await settleAll(entries(again, 39));
    const { data } = await board();
    expect(data).toHaveLength(5);
    expect(data[0]).toMatchObject({ model: "model_worst", evaluation: again.id });
    expect(data[1]!.p_vs_best).not.toBeNull();
  });
});

describe("deletion", () => {
  it("takes the evaluation, its records and comparisons; late entries do not bring it back", async () => {
    const of = evaluation("model_gone");
    const list = entries(of, 10);
    await settleAll(list);
    const deleted: OutboxEntry = { kind: "deleted", project: project.id, resource: "evaluation", id: of.id };
    await settleAll([deleted, ...list, deleted]);
    await expect(getEvaluation(project.context(), of.id)).rejects.toThrow("no evaluation");
    expect(await project.db.select().from(records).where(eq(records.evaluation, of.id))).toEqual([]);
    expect((await board()).data.map((entry) => entry.model)).not.toContain("model_gone");
  });
});

const run = (head: number): Run => ({
  ...CreateRun.parse({ name: "r", student: { model: "tiny" }, dataset, objective: { type: "sft" } }),
  id: "run_settle",
  object: "run",
  created_at: "2026-01-01T00:00:00.000Z",
  status: "running",
  head,
  target: 10,
  lineage: 0,
  fence: 1,
  head_hash: null,
  state_sha256: null,
  lineage_breaks: [],
  rows: null,
  rows_skipped: 0,
  best: null,
  error: null,
  student_layers: null,
});

describe("what follows the pool", () => {
  it("keeps the newest revision, in any order", async () => {
    const at = (rev: number): OutboxEntry => ({ kind: "run", project: project.id, rev, run: run(rev) });
    await settleAll([at(3), at(1), at(5), at(4), at(5)]);
    const [row] = await project.db.select().from(runs).where(eq(runs.id, "run_settle"));
    expect(row).toMatchObject({ rev: 5, dataset, body: { head: 5 } });
  });

  it("forgets a deleted run with its steps, for good", async () => {
    const step: OutboxEntry = {
      kind: "step",
      project: project.id,
      rev: 1,
      step: {
        id: "run_settle@1",
        object: "step",
        run: "run_settle",
        step: 1,
        lineage: 0,
        hash: hash("1"),
        superseded: false,
        metrics: metrics(),
        committed_at: "2026-01-01T00:00:00.000Z",
      },
    };
    const stepsThere = () => project.db.select().from(steps).where(eq(steps.run, "run_settle"));
    await settle(env, step);
    expect(await stepsThere()).toHaveLength(1);
    await settle(env, { kind: "deleted", project: project.id, resource: "run", id: "run_settle" });
    await settleAll([step, { kind: "run", project: project.id, rev: 9, run: run(9) }]);
    expect(await stepsThere()).toEqual([]);
    const [row] = await project.db.select().from(runs).where(eq(runs.id, "run_settle"));
    expect(row).toMatchObject({ project: "", status: "deleted", body: null });
  });

  it("records a model's facts; a later failure does not undo them", async () => {
    const id = await project.model("unprepared");
    await project.db.update(models).set({ status: "queued", facts: null }).where(eq(models.id, id));
    const entry = { kind: "model" as const, project: project.id, model: id };
    const error = { code: "model_invalid", message: "no", retryable: false };
    const read = async () => (await project.db.select().from(models).where(eq(models.id, id)))[0]!;
    await settle(env, { ...entry, outcome: { error } });
    expect(await read()).toMatchObject({ status: "failed", error });
    const found = facts({ weights_digest: hash("found") });
    await settle(env, { ...entry, outcome: { facts: found } });
    await settle(env, { ...entry, outcome: { error } });
    expect(await read()).toMatchObject({
      status: "ready",
      facts: found,
      error: null,
      ref: { weights_digest: hash("found"), base: { type: "local" } },
    });
    await settle(env, { ...entry, project: "proj_other", outcome: { facts: facts({ layers: 1 }) } });
    expect((await read()).facts?.layers).toBe(30);
  });

  it("sets usage to the newest total", async () => {
    const day = "2026-01-01";
    const at = (rev: number, total: number): OutboxEntry => {
      return { kind: "usage", project: project.id, rev, day, meter: "tokens_scored", total };
    };
    await settleAll([at(2, 20), at(1, 10), at(2, 20)]);
    const found = await project.db.select().from(usage).where(eq(usage.project, project.id));
    expect(found).toMatchObject([{ total: 20, rev: 2 }]);
  });
});
