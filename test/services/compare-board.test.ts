// Comparisons that one call does not finish.
import { eq, or } from "drizzle-orm";
import { beforeAll, describe, expect, it } from "vitest";
import { compareWithBoard, rivalsAtOnce } from "../../src/services/compare-board.ts";
import { leaderboard } from "../../src/services/rank.ts";
import { findEvaluation } from "../../src/store/evaluations.ts";
import { comparisons } from "../../src/store/schema.ts";
import { MetricName } from "../../src/wire/evaluations.ts";
import { TestProject, rows } from "./project.ts";
import { completed, entriesOf, settleAll } from "./settled.ts";

const N = 40;
const OTHERS = 5;
let project: TestProject;
let id = "";
beforeAll(async () => {
  project = await TestProject.create();
  const dataset = await project.dataset("short", rows(N));
  for (let i = 0; i <= OTHERS; i++) {
    const evaluation = completed(dataset, N, `model_${i}`);
    await settleAll(entriesOf(project.id, evaluation, 6 * i));
    id = evaluation.id;
  }
});

const mine = () => or(eq(comparisons.a, id), eq(comparisons.b, id));
const count = async () => (await project.db.select().from(comparisons).where(mine())).length;
const forget = () => project.db.delete(comparisons).where(mine());
const board = () => {
  const query = { dataset: "short", split: "test", template: "chat", limit: null, pattern: null } as const;
  return leaderboard(project.context(), { ...query, metric: "exact_match" });
};

describe("comparisons", () => {
  it("are made with every other model, on every metric", async () => {
    expect(await count()).toBe(OTHERS * MetricName.options.length);
  });

  it("that are missing show as null", async () => {
    await forget();
    const { data } = await board();
    expect(data[0]).toMatchObject({ evaluation: id, rank: 1 });
    expect(data.slice(1).map((entry) => entry.p_vs_best)).toEqual(Array.from({ length: OTHERS }, () => null));
  });

  it("go on in the next call where one had to leave some over", async () => {
    await forget();
    const row = (await findEvaluation(project.db, project.id, id))!;
    const left = [];
    for (let call = 0; call < 4; call++) left.push(await compareWithBoard(project.db, row, () => 2));
    expect(left).toEqual([3, 1, 0, 0]);
    expect(await count()).toBe(OTHERS * MetricName.options.length);
  });

  it("go on in the pool's outbox where a request had to leave some over", async () => {
    await forget();
    await project.pool.compareEvaluation(project.id, id);
    await project.pool.compareEvaluation(project.id, id);
    await expect.poll(count).toBe(OTHERS * MetricName.options.length);
  });

  it("are as many in one call as its CPU allows, one at least", () => {
    expect(rivalsAtOnce(40)).toBeGreaterThanOrEqual(64);
    expect(rivalsAtOnce(2000)).toBeLessThan(64);
    expect(rivalsAtOnce(2000)).toBeGreaterThan(1);
    expect(rivalsAtOnce(100_000)).toBeLessThan(10);
    expect(rivalsAtOnce(100_000_000)).toBe(1);
  });
});
