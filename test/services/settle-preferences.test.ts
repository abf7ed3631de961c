import { env } from "cloudflare:workers";
import { and, eq, inArray } from "drizzle-orm";
import { beforeAll, describe, expect, it } from "vitest";
import { newId } from "../../src/services/identity.ts";
import { getPreferenceEvaluation } from "../../src/services/preference-evaluations.ts";
import { preferenceRecordPage } from "../../src/services/preference-records.ts";
import { preferenceLeaderboard } from "../../src/services/rank-preferences.ts";
import { settle } from "../../src/services/settle.ts";
import type { OutboxEntry } from "../../src/store/outbox.ts";
import { comparisons, preferenceRecords } from "../../src/store/schema.ts";
import { Generation } from "../../src/wire/generation.ts";
import type { ScoredPair } from "../../src/wire/pairs.ts";
import type { PreferenceEvaluation } from "../../src/wire/preference-evaluations.ts";
import { preferenceSubmit } from "../pool/fixtures.ts";
import { TestProject, rows } from "./project.ts";
import { settleAll } from "./settled.ts";

const N = 40;
let project: TestProject;
let dataset: string;
beforeAll(async () => {
  project = await TestProject.create();
  const pairs = rows(N).map((row) => ({ ...row, rejected: "no" }));
  dataset = await project.dataset("pairs", pairs, "prompt_chosen_rejected");
});

/** Ids of the evaluations that this file makes. */
const made: string[] = [];

/** One whose every pair is in; not yet judged. */
function completed(student: string, changes: Partial<PreferenceEvaluation> = {}): PreferenceEvaluation {
  const { evaluation } = preferenceSubmit([N]);
  if (evaluation.object !== "preference_evaluation") throw new Error("not a preference evaluation");
  const mine = { id: newId("pe"), dataset, student, status: "completed" as const, done: N, ...changes };
  made.push(mine.id);
  return { ...evaluation, ...mine };
}

/** Created, all pairs in two batches, completed: the first `right` rank chosen above rejected. */
function entries(of: PreferenceEvaluation, right: number, seeds = [0]): OutboxEntry[] {
  const side = (student_logprob: number) => {
    return { response: null, finish_reason: null, num_tokens: 1, teacher_logprob: -1, student_logprob };
  };
  const pair = (i: number, seed: number): ScoredPair => {
    return { item: `test-${i}`, seed, chosen: side(i < right ? -1 : -3), rejected: side(-2) };
  };
  const all = Array.from({ length: N }, (_, i) => seeds.map((seed) => pair(i, seed))).flat();
  return [
    { project: project.id, kind: "evaluation", rev: 1, evaluation: { ...of, status: "queued", done: 0 } },
    { project: project.id, kind: "pairs", evaluation: of.id, batch: 0, items: all.slice(0, 32) },
    { project: project.id, kind: "pairs", evaluation: of.id, batch: 1, items: all.slice(32) },
    { project: project.id, kind: "evaluation", rev: 2, evaluation: of },
  ];
}

const got = (of: PreferenceEvaluation) => getPreferenceEvaluation(project.context(), of.id);
const board = () => {
  const data = { dataset: "pairs", split: "test", template: "chat" as const, limit: null };
  return preferenceLeaderboard(project.context(), { kind: "accuracy", ...data, length_normalize: false });
};

describe("a preference evaluation settles", () => {
  it("into judged pairs and figures, whatever is repeated", async () => {
    const of = completed("model_a");
    const list = entries(of, 30);
    await settleAll([list[0]!, list[1]!, list[1]!, list[2]!, list[0]!, list[3]!, list[2]!, list[3]!]);
    expect(await got(of)).toMatchObject({ status: "completed", metrics: { accuracy: { mean: 75, n: N } } });
    const page = await preferenceRecordPage(project.context(), of.id, { limit: 100 });
    expect(page.data.map((record) => record.item)).toEqual(rows(N).map((row) => row.id));
    expect(page.has_more).toBe(false);
  });

  it("only once every pair is there: before, it throws to be called again", async () => {
    const of = completed("model_early");
    const [created, first, second, end] = entries(of, 3);
    await expect(settle(env, first!)).rejects.toThrow("not in D1 yet");
    await settleAll([created!, first!]);
    await expect(settle(env, end!)).rejects.toThrow("has 32 of 40 records");
    await settleAll([second!, end!]);
    expect((await got(of)).metrics?.accuracy?.mean).toBeCloseTo(7.5, 9);
  });

  it("knows each record's place among items and seeds", async () => {
    const seeds = [7, 5];
    const generation = Generation.parse({ temperature: 1, seeds });
    const of = completed("model_seeds", { kind: "closeness", generation, done: 2 * N });
    await settleAll(entries(of, 20, seeds));
    const page = await preferenceRecordPage(project.context(), of.id, { after: "test-0:7", limit: 2 });
    expect(page.data.map((record) => record.id)).toEqual(["test-0:5", "test-1:7"]);
    expect((await got(of)).metrics).toMatchObject({ accuracy: null, student_preferred: { n: N } });
  });

  it("with its comparisons, each pair once, so that the board only reads", async () => {
    const mine = and(inArray(comparisons.a, made), eq(comparisons.metric, "accuracy"));
    const pairs = await project.db.select().from(comparisons).where(mine);
    expect(pairs).toHaveLength(1);
    // 27 items differ, all one way: p = 2 / 2^27.
    expect(pairs[0]!.p).toBeCloseTo(2 / 2 ** 27, 20);
    expect((await board()).data.map(({ student, p_vs_best }) => [student, p_vs_best])).toEqual([
      ["model_a", null],
      ["model_early", pairs[0]!.p],
    ]);
  });

  it("and shows the newest evaluation of each student and teacher", async () => {
    const again = completed("model_early", { created_at: new Date(Date.now() + 1000).toISOString() });
    const other = completed("model_early", { teacher: "model_other" });
    await settleAll([...entries(again, 39), ...entries(other, 20)]);
    const { data } = await board();
    expect(data.map(({ student, teacher, mean }) => [student, teacher, mean])).toEqual([
      ["model_early", "model_tiny", 97.5],
      ["model_a", "model_tiny", 75],
      ["model_early", "model_other", 50],
    ]);
    expect(data.slice(1).every((entry) => entry.p_vs_best !== null)).toBe(true);
  });
});

describe("deletion", () => {
  it("takes the evaluation, its records and comparisons; late entries do not bring it back", async () => {
    const of = completed("model_gone");
    const list = entries(of, 10);
    await settleAll(list);
    const deleted: OutboxEntry = { kind: "deleted", project: project.id, resource: "preference_evaluation", id: of.id };
    await settleAll([deleted, ...list, deleted]);
    await expect(got(of)).rejects.toThrow("no preference evaluation");
    const left = project.db.select().from(preferenceRecords).where(eq(preferenceRecords.evaluation, of.id));
    expect(await left).toEqual([]);
    expect((await board()).data.map((entry) => entry.student)).not.toContain("model_gone");
    const pairs = await project.db.select().from(comparisons);
    expect(pairs.filter(({ a, b }) => a === of.id || b === of.id)).toEqual([]);
  });
});
