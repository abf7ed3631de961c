import { describe, expect, it } from "vitest";
import { strengths } from "../../src/scoring/strengths.ts";

const logit = (p: number) => Math.log(p / (1 - p));

describe("strengths of students against one teacher", () => {
  it("are the log-odds of the mean and of the ends of its interval", () => {
    const [first, second] = strengths([
      { mean: 75, low: 60, high: 90, n: 40 },
      { mean: 50, low: 20, high: 55, n: 10 },
    ]);
    expect(first!.value).toBeCloseTo(Math.log(3), 9);
    expect(first!.low).toBeCloseTo(logit(0.6), 9);
    expect(first!.high).toBeCloseTo(Math.log(9), 9);
    expect(second!.value).toBeCloseTo(0, 9);
    expect(second!.low).toBeCloseTo(-Math.log(4), 9);
  });

  it("are not bounded where all is won, or lost, even by a resample alone", () => {
    expect(strengths([{ mean: 100, low: 100, high: 100, n: 4 }])).toEqual([{ value: null, low: null, high: null }]);
    const [some] = strengths([{ mean: 50, low: 0, high: 100, n: 2 }]);
    expect(some).toEqual({ value: 0, low: null, high: null });
  });

  it("of nobody are none", () => {
    expect(strengths([])).toEqual([]);
  });
});
