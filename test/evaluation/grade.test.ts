import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { grade } from "../../src/evaluation/grade.ts";
import { GRADERS, GRADER_VERSIONS } from "../../src/evaluation/graders.ts";
import { lcsLength } from "../../src/evaluation/lcs.ts";
import { MOST_REFERENCE_TOKENS, MOST_TOKENS, tokenize, tokenizeAll } from "../../src/evaluation/rouge-tokens.ts";
import { PatternError, compilePattern } from "../../src/evaluation/regex-match.ts";
import type { MetricName } from "../../src/wire/evaluations.ts";

type Case = [response: string, references: string[], expected: number | null];

/** By hand, each against its metric's definition. */
const TABLES: Record<Exclude<MetricName, "regex_match">, Case[]> = {
  exact_match: [
    ["The Cat.", ["the  cat"], 100],
    ["the cat", ["cat"], 0],
    ["B", ["A", "b!"], 100],
    ["", ["..."], 100],
    ["x", [], 0],
  ],
  contains: [
    ["It is the cat.", ["Cat"], 100],
    ["concatenate", ["cat"], 0],
    ["a a b", ["a b"], 100],
    ["the cat is here", ["cat"], 100],
    ["a b a b c", ["a b c"], 100],
    // What was matched in vain holds the beginning of what matches.
    ["a a a b", ["a a b"], 100],
    ["a b a b a b c", ["a b a b c"], 100],
    ["the big cat", ["the cat"], 0],
    ["cat", ["the cat"], 0],
    ["a dog", ["cat", "dog"], 100],
    ["anything", ["..."], 0],
    ["!", [""], 100],
    ["x", [], 0],
  ],
  numeric_match: [
    ["The answer is 42.", ["#### 42"], 100],
    ["first 42, then 7", ["42"], 0],
    ["$1,234.50", ["1234.5"], 100],
    ["1,2,3", ["3"], 100],
    ["1,2345", ["2345"], 100],
    ["12,345,67", ["67"], 100],
    ["1,234,567", ["1234567"], 100],
    ["-5", ["5"], 0],
    ["-$5.00", ["$-5"], 100],
    ["\u22125", ["-5"], 100],
    ["10-20", ["20"], 100],
    ["x-2", ["2"], 100],
    ["(3)-1", ["1"], 100],
    ["5 - 3 = 2", ["2"], 100],
    ["= -2", ["-2"], 100],
    ["-0", ["0"], 100],
    ["007", ["7.000"], 100],
    [".50", ["0.5"], 100],
    ["it is.42", ["42"], 100],
    ["20%", ["20"], 100],
    ["\u20ac3", ["3"], 100],
    ["v1.2.3", ["3"], 100],
    // Doubles cannot tell these apart.
    ["9007199254740993", ["9007199254740992"], 0],
    ["0.1000000000000000055511151231257827", ["0.1"], 0],
    ["7", ["none", "seven", "7"], 100],
    ["none", ["7"], 0],
    ["", ["7"], 0],
    ["7", ["seven"], null],
    ["", [], null],
  ],
  token_f1: [
    // shared "cat", "sat": P = 2/3, R = 2/2, F1 = 2 * 2/3 / (5/3) = 0.8.
    ["the cat sat", ["Cat sat!"], 80],
    // Bags: of three "a" two are shared. P = 2/3, R = 2/2.
    ["a a a", ["a a"], 80],
    ["b", ["a", "b c"], (200 * 0.5) / 1.5],
    ["", ["..."], 100],
    ["", ["a"], 0],
    ["a", [""], 0],
    ["a", ["b"], 0],
    ["a", [], 0],
  ],
  rouge_1: [
    // Stems "cat", "sat" and "the": P = 3/3, R = 3/4, F = 6/7.
    ["the cats sat", ["a dog", "the cat sat down"], 600 / 7],
    ["sat cats the", ["the cat sat down"], 600 / 7],
    // Of two "a" one is shared: P = 1/2, R = 1/1.
    ["a a", ["a"], 200 / 3],
    ["", [""], 0],
    ["a", [], 0],
  ],
  rouge_2: [
    // "the cat", "cat sat" of 2 and 3 bigrams: P = 1, R = 2/3, F = 0.8.
    ["the cats sat", ["the cat sat down"], 80],
    ["sat cats the", ["the cat sat down"], 0],
    ["word", ["word"], 0],
    ["", ["a b"], 0],
  ],
  rouge_l: [
    // common: "the", "cat", "sat" of 3 and 4 tokens: P = 1, R = 3/4, F = 6/7.
    ["the cats sat", ["a dog", "the cat sat down"], 600 / 7],
    ["", ["anything"], 0],
    ["", [""], 0],
  ],
};

const tables = Object.entries(TABLES).flatMap(([metric, cases]) =>
  cases.map(([response, references, expected]) => ({ metric, response, references, expected })),
);

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
  it.each(tables)("$metric of $response against $references", ({ metric, response, references, expected }) => {
    const value = grade(response, references, null)[metric as MetricName];
    if (expected === null) expect(value).toBeNull();
    else expect(value).toBeCloseTo(expected, 12);
  });

  it("names every metric with its version: a change of either begins other boards", () => {
    expect(GRADER_VERSIONS.split(" ").sort()).toEqual(
      Object.entries(GRADERS)
        .map(([metric, { version }]) => `${metric}/${version}`)
        .sort(),
    );
  });

  it("finds the longest common subsequence that the table finds", () => {
    const tokens = fc.array(fc.constantFrom("a", "b", "c", "constructor"), { maxLength: 150, size: "max" });
    fc.assert(fc.property(tokens, tokens, (a, b) => lcsLength(a, b) === slowLcs(a, b)));
  });
});

describe("a long text", () => {
  const words = (count: number): string => Array.from({ length: count }, (_, i) => `w${i}`).join(" ");

  it("is read by ROUGE up to a bound, and whole up to there", () => {
    expect(tokenize(words(MOST_TOKENS))).toHaveLength(MOST_TOKENS);
    expect(tokenize(words(MOST_TOKENS + 1))).toEqual(tokenize(words(MOST_TOKENS)));
    expect(grade(words(MOST_TOKENS + 500), [words(MOST_TOKENS)], null).rouge_l).toBe(100);
  });

  it("costs no more beside many references", () => {
    const read = tokenizeAll(Array.from({ length: 64 }, () => words(2000)));
    expect(read.reduce((sum, { length }) => sum + length, 0)).toBe(MOST_REFERENCE_TOKENS);
    expect(tokenizeAll([words(2000), words(2000)]).map(({ length }) => length)).toEqual([2000, 2000]);
  });
});

describe("a pattern", () => {
  it.each([
    ["the answer is 42", "answer is [0-9]+", 100],
    ["the answer is 42", "^answer", 0],
    ["YES", "(?i)yes", 100],
    ["a\nb", "^b$", 0],
    ["a\nb", "(?m)^b$", 100],
    ["", "^$", 100],
    ["x", "^$", 0],
  ])("is found anywhere in %j unless anchored: %s", (response, pattern, expected) => {
    expect(grade(response, ["any"], compilePattern(pattern)).regex_match).toBe(expected);
  });

  it("is skipped where the evaluation has none", () => {
    expect(grade("x", ["x"], null).regex_match).toBeNull();
  });

  it.each(["(", "a{2,1}", "(a)\\1", "(?=a)", "[z-a]", "a**", "\\"])("must be RE2's syntax: %s", (pattern) => {
    expect(() => compilePattern(pattern)).toThrow(PatternError);
  });

  it.each(["(?:a{100}){10}", ".{1000}", "(?:.{30}){30}"])("must not expand to a large program: %s", (pattern) => {
    expect(() => compilePattern(pattern)).toThrow(/expands to|invalid repeat/);
  });

  it("is matched in linear time: a backtracking engine would not come back from this", () => {
    expect(grade(`${"a".repeat(20_000)}b`, ["x"], compilePattern("^(a+)+$")).regex_match).toBe(0);
  });
});
