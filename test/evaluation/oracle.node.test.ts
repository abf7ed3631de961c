// The graders and the statistics against independent programs: rouge-score, NLTK, scipy and Python's own string methods.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { exactMatch, normalize } from "../../src/evaluation/exact-match.ts";
import { wilson } from "../../src/evaluation/interval.ts";
import { stem } from "../../src/evaluation/porter.ts";
import { rougeL } from "../../src/evaluation/rouge-l.ts";
import { holm, mcNemar } from "../../src/evaluation/tests.ts";
import { logSigmoid, sigmoid } from "../../src/scoring/logistic.ts";
import { firstPlace } from "../../src/scoring/ranking.ts";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const PYTHON = path("../../.venv/bin/python");
const DATA = path("../../../shared/data");

interface Answer {
  rouge_l: number[];
  exact_match: boolean[];
  normalized: string[];
  stems: string[];
  mcnemar: number[];
  wilson: [number, number][];
  sigmoid: number[];
  log_sigmoid: number[];
  softmax: number[][];
  holm: number[][];
}

type RealRow = Partial<Record<"prompt" | "completion" | "instruction" | "output", string>>;
type Text = [references: string[], response: string];

const sample = <T>(arbitrary: fc.Arbitrary<T>, count: number): T[] => fc.sample(arbitrary, { numRuns: count, seed: 7 });

/** Rows of the real data: each completion against its neighbours', and against its own with small changes. */
function realTexts(): Text[] {
  if (!existsSync(DATA)) return [];
  const files = readdirSync(DATA).filter((name) => name.endsWith(".jsonl"));
  return files.flatMap((name) => {
    const rows = readFileSync(`${DATA}/${name}`, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as RealRow);
    const texts = rows.map((row) => row.completion ?? row.output ?? row.prompt ?? "");
    const prompts = rows.map((row) => row.prompt ?? row.instruction ?? "");
    return texts.flatMap((text, i): Text[] => [
      [[texts[(i + 1) % texts.length] ?? "", text], ` ${text.toUpperCase()}!`],
      [[texts[(i + 1) % texts.length] ?? ""], text],
      [[prompts[i] ?? ""], prompts[(i + 7) % prompts.length] ?? ""],
    ]);
  });
}

const chars = (text: string): string[] => Array.from(text);

/** Characters where Python and JavaScript could differ: white space, punctuation, case, combining marks. */
const tricky = fc.constantFrom(
  ...chars(" \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u200b\u2028\u202f\u205f\u3000\ufeff\u180e"),
  ...chars("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\u00bf\u2019\u3002"),
  ...chars("\u0130\u0131\u03a3\u03c3\u03c2\u1e9e\u00df\u212a\u2126\u01c5\u0345\u0301\ufb01"),
);
/** Letters, marks, numbers and punctuation, less the capitals that Unicode gained after Python 3.11's tables. */
const known = fc
  .integer({ min: 0x20, max: 0xd7ff })
  .map((code) => String.fromCodePoint(code))
  .filter((c) => /[\p{L}\p{M}\p{N}\p{P}]/u.test(c) && !/[\ua7c0-\ua7ff\u1c80-\u1c8f]/.test(c));
const word = fc.constantFrom(
  "The",
  "the",
  "a",
  "cats",
  "Running",
  "relational",
  "happily",
  "x2",
  "don't",
  "\u039f\u03a3",
  "na\u00efve",
);
const text = fc
  .array(fc.oneof(word, fc.constant(" "), tricky, known), { maxLength: 40 })
  .map((parts) => parts.join(""));
const prose = fc.array(word, { maxLength: 200 }).map((words) => words.join(" "));
const anyText = fc.oneof(text, prose);

const PREFIXES = [
  "",
  "a",
  "b",
  "tr",
  "geo",
  "yy",
  "hop",
  "relat",
  "sens",
  "condit",
  "operat",
  "flay",
  "mm",
  "2b",
  "electr",
];
const MIDDLES = ["", "al", "ation", "ous", "ful", "ic", "ell", "iz", "at", "bl", "y", "ogi", "ment", "nn", "ali"];
const ENDINGS = [
  ...[
    "",
    "s",
    "ies",
    "sses",
    "ss",
    "ed",
    "ied",
    "eed",
    "ing",
    "y",
    "e",
    "ll",
    "ational",
    "alli",
    "bli",
    "fulli",
    "logi",
    "izer",
  ],
  ...[
    "ement",
    "ion",
    "tion",
    "sion",
    "ative",
    "ness",
    "iviti",
    "biliti",
    "ousness",
    "lly",
    "ed",
    "er",
    "ance",
    "ily",
    "ying",
  ],
];
const IRREGULAR = [
  "sky",
  "skies",
  "dying",
  "news",
  "innings",
  "constructor",
  "proceed",
  "succeed",
  "howe",
  "spied",
  "tied",
  "ties",
  "toString",
];
const words = [
  ...IRREGULAR.map((w) => w.toLowerCase()),
  ...PREFIXES.flatMap((p) => MIDDLES.flatMap((m) => ENDINGS.map((e) => p + m + e))),
  ...sample(fc.string({ unit: fc.constantFrom(...chars("aeiouybcdfglmnrstxz19")), minLength: 1, maxLength: 12 }), 8000),
];

const binary = sample(fc.tuple(fc.nat({ max: 300 }), fc.nat({ max: 300 })), 300);
const ask = {
  texts: [
    ...realTexts(),
    ...sample(fc.tuple(fc.array(anyText, { minLength: 1, maxLength: 4 }), anyText), 2500),
    ...sample(anyText, 400).map((t): Text => [["x", `  ${t} `], t]),
  ],
  words: words.filter((w) => w !== ""),
  discordant: [...binary, [0, 0], [0, 1], [5, 5], [0, 2000], [900, 1100], [4000, 5000]],
  shares: [...binary.map(([a, b]) => [a, a + b + 1]), [0, 1], [1, 1], [0, 500], [500, 500]],
  margins: sample(fc.double({ min: -800, max: 800, noNaN: true }), 500),
  rewards: sample(fc.array(fc.double({ min: -300, max: 300, noNaN: true }), { minLength: 1, maxLength: 64 }), 200),
  p_values: sample(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 40 }), 200),
};

const difference = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
const relative = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((value, i) => Math.abs(value - b[i]!) / Math.max(Math.abs(b[i]!), 1e-300)));

describe.skipIf(!existsSync(PYTHON))("against rouge-score, NLTK and scipy (needs the project's .venv)", () => {
  let answer: Answer;
  beforeAll(() => {
    const python = spawnSync(PYTHON, [path("./oracle.py")], {
      input: JSON.stringify(ask),
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });
    expect(python.status, python.stderr).toBe(0);
    answer = JSON.parse(python.stdout);
  });

  it("grades ROUGE-L as rouge-score does, to 1e-9, on at least 2,000 pairs", () => {
    expect(ask.texts.length).toBeGreaterThanOrEqual(2000);
    expect(
      difference(
        ask.texts.map(([references, response]) => rougeL(response, references)),
        answer.rouge_l,
      ),
    ).toBeLessThanOrEqual(1e-9);
    expect(answer.rouge_l.filter((value) => value > 0 && value < 1).length).toBeGreaterThan(1000);
  });

  it("stems as NLTK does", () => {
    const wrong = ask.words.filter((w, i) => stem(w) !== answer.stems[i]);
    expect(wrong).toEqual([]);
  });

  it("grades exact match as Python's lower, punctuation and split do", () => {
    expect(ask.texts.filter(([, response], i) => normalize(response) !== answer.normalized[i])).toEqual([]);
    expect(ask.texts.map(([references, response]) => exactMatch(response, references))).toEqual(answer.exact_match);
    expect(answer.exact_match.filter(Boolean).length).toBeGreaterThan(300);
  });

  it("computes McNemar's exact p as scipy's binomial test", () => {
    expect(
      relative(
        ask.discordant.map(([b, c]) => mcNemar(b!, c!)),
        answer.mcnemar,
      ),
    ).toBeLessThanOrEqual(1e-9);
  });

  it("computes Wilson's interval as scipy", () => {
    const ours = ask.shares.map(([successes, n]) => wilson(successes!, n!));
    expect(
      difference(
        ours.flatMap(({ low, high }) => [low, high]),
        answer.wilson.flat(),
      ),
    ).toBeLessThanOrEqual(1e-12);
  });

  it("computes sigmoid, log-sigmoid and softmax as scipy", () => {
    expect(relative(ask.margins.map(sigmoid), answer.sigmoid)).toBeLessThanOrEqual(1e-12);
    expect(relative(ask.margins.map(logSigmoid), answer.log_sigmoid)).toBeLessThanOrEqual(1e-12);
    expect(difference(ask.rewards.flatMap(firstPlace), answer.softmax.flat())).toBeLessThanOrEqual(1e-12);
  });

  it("adjusts by Holm's definition", () => {
    expect(difference(ask.p_values.flatMap(holm), answer.holm.flat())).toBeLessThanOrEqual(1e-12);
  });
});
