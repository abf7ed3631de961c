import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { grade } from "../../src/evaluation/grade.ts";
import { lcsLength } from "../../src/evaluation/lcs.ts";

/** The textbook table. */
function slowLcs(a: string[], b: string[]): number {
  let row = new Array<number>(b.length + 1).fill(0);
  for (const x of a) {
    const next = [0];
    b.forEach((y, j) => next.push(x === y ? row[j]! + 1 : Math.max(row[j + 1]!, next[j]!)));
    row = next;
  }
  return row[b.length]!;
}

describe("grading", () => {
  it.each([
    ["The Cat.", ["the  cat"], 100],
    ["the cat", ["cat"], 0],
    ["B", ["A", "b!"], 100],
    ["", ["..."], 100],
    ["x", [], 0],
  ])("exact match of %j against %j", (response, references, expected) => {
    expect(grade(response, references).exact_match).toBe(expected);
  });

  it("takes the best reference by ROUGE-L", () => {
    // common: "the", "cat", "sat" of 3 and 4 tokens: P = 1, R = 3/4, F = 6/7.
    expect(grade("the cats sat", ["a dog", "the cat sat down"]).rouge_l).toBeCloseTo(600 / 7, 12);
    expect(grade("", ["anything"]).rouge_l).toBe(0);
  });

  it("finds the longest common subsequence that the table finds", () => {
    const tokens = fc.array(fc.constantFrom("a", "b", "c", "constructor"), { maxLength: 150, size: "max" });
    fc.assert(fc.property(tokens, tokens, (a, b) => lcsLength(a, b) === slowLcs(a, b)));
  });
});
