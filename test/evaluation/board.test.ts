import { describe, expect, it } from "vitest";
import { boardDetectableDifference, rankBoard } from "../../src/evaluation/board.ts";

/** Comparisons written as `ab: p`; others were never made. */
const lookup = (pairs: Record<string, number | null>) => (a: string, b: string) => {
  const p = pairs[a + b] ?? pairs[b + a];
  return p === undefined ? null : { p, sd: 40, n: 100 };
};
const entries = (...means: number[]) => means.map((mean, i) => ({ id: "abcdef".charAt(i), mean }));

describe("a board", () => {
  it("is empty, or one entry that leads", () => {
    expect(rankBoard([], lookup({}))).toEqual([]);
    expect(rankBoard(entries(50), lookup({}))).toEqual([{ rank: 1, group: 1, p_vs_best: null, p_vs_previous: null }]);
  });

  it("adjusts by Holm over the distinct tests shown", () => {
    // Tests shown: ab, ac, bc. Sorted: ac 0.01 x3, ab 0.02 x2, bc 0.5 x1.
    const board = rankBoard(entries(90, 80, 70), lookup({ ab: 0.02, ac: 0.01, bc: 0.5 }));
    expect(board.map((entry) => entry.p_vs_best)).toEqual([null, 0.04, 0.03]);
    expect(board.map((entry) => entry.p_vs_previous)).toEqual([null, 0.04, 0.5]);
  });

  it("groups a leader with those not significantly worse; the first that is leads the next", () => {
    const board = rankBoard(
      entries(90, 88, 70, 69, 20),
      lookup({ ab: 0.6, ac: 0.0001, bc: 0.001, ad: 0.0001, cd: 0.9, ae: 1e-9, de: 1e-6, ce: 1e-6 }),
    );
    expect(board.map((entry) => entry.group)).toEqual([1, 1, 2, 2, 3]);
  });

  it("keeps in the group what is worse than the one before it but not than the leader", () => {
    const board = rankBoard(entries(90, 80, 70), lookup({ ab: 0.5, ac: 0.3, bc: 0.001 }));
    expect(board.map((entry) => entry.group)).toEqual([1, 1, 1]);
  });

  it("takes an unknown test for no difference, and leaves it out of the adjustment", () => {
    const board = rankBoard(entries(90, 80, 10), lookup({ ab: null, ac: 0.02, bc: 0.04 }));
    expect(board.map((entry) => entry.p_vs_best)).toEqual([null, null, 0.04]);
    expect(board.map((entry) => entry.group)).toEqual([1, 1, 2]);
    expect(rankBoard(entries(90, 10), lookup({})).map((entry) => entry.group)).toEqual([1, 1]);
  });

  it("lets equal means share a rank", () => {
    expect(rankBoard(entries(90, 80, 80, 10), lookup({})).map((entry) => entry.rank)).toEqual([1, 2, 2, 4]);
  });

  it("states the detectable difference of its pairs", () => {
    // (1.95996 + 0.84162) * 40 / sqrt(100)
    expect(boardDetectableDifference(["a", "b"], lookup({ ab: 0.5 }))).toBeCloseTo(11.2063, 3);
    expect(boardDetectableDifference(["a", "b"], lookup({}))).toBeNull();
    expect(boardDetectableDifference(["a"], lookup({}))).toBeNull();
  });
});
