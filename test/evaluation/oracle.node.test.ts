// The graders and the statistics against independent programs: rouge-score, NLTK, scipy and Python's own string methods.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { normalize } from "../../src/evaluation/exact-match.ts";
import { grade } from "../../src/evaluation/grade.ts";
import { bootstrap, wilson } from "../../src/evaluation/interval.ts";
import { stem } from "../../src/evaluation/porter.ts";
import { below, randomWords } from "../../src/evaluation/random.ts";
import { compilePattern } from "../../src/evaluation/regex-match.ts";
import { holm, mcNemar } from "../../src/evaluation/tests.ts";
import { bradleyTerry } from "../../src/scoring/bradley-terry.ts";
import { logSigmoid, sigmoid } from "../../src/scoring/logistic.ts";
import { firstPlace } from "../../src/scoring/ranking.ts";
import { strengths } from "../../src/scoring/strengths.ts";
import { MetricName } from "../../src/wire/evaluations.ts";
import { PATTERNS, generatedTexts, realTexts, sample, words } from "./oracle-texts.ts";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const PYTHON = path("../../.venv/bin/python");

interface Answer {
  metrics: Record<MetricName, (number | null)[]>;
  normalized: string[];
  stems: string[];
  mcnemar: number[];
  wilson: [number, number][];
  sigmoid: number[];
  log_sigmoid: number[];
  softmax: number[][];
  holm: number[][];
  bradley_terry: number[][];
  strengths: [low: number, high: number][];
}

/** Every pair has met, now and then as a probability; some odds are steep. */
const tables = sample(
  fc.integer({ min: 2, max: 8 }).chain((n) => {
    const count = fc.oneof(fc.integer({ min: 1, max: 500 }), fc.double({ min: 0.01, max: 50, noNaN: true }));
    return fc.array(fc.array(count, { minLength: n, maxLength: n }), { minLength: n, maxLength: n });
  }),
  300,
);

/** Students on the same items, and the items that the board's own generator resamples. */
const ITEMS = 40;
const RESAMPLES = { resamples: 400, seed: 95 };
const share = fc.double({ min: 0.001, max: 0.999, noNaN: true });
const students = sample(fc.array(share, { minLength: ITEMS, maxLength: ITEMS }), 6);
function resampledItems(): number[][] {
  const fill = randomWords(RESAMPLES.seed);
  const words = new Uint32Array(ITEMS);
  return Array.from({ length: RESAMPLES.resamples }, () => {
    fill(words);
    return Array.from(words, (word) => below(word, ITEMS));
  });
}

const binary = sample(fc.tuple(fc.nat({ max: 300 }), fc.nat({ max: 300 })), 300);
const ask = {
  texts: [...realTexts, ...generatedTexts],
  patterns: PATTERNS.map(({ python }) => python),
  words,
  discordant: [...binary, [0, 0], [0, 1], [5, 5], [0, 2000], [900, 1100], [4000, 5000]],
  shares: [...binary.map(([a, b]) => [a, a + b + 1]), [0, 1], [1, 1], [0, 500], [500, 500]],
  margins: sample(fc.double({ min: -800, max: 800, noNaN: true }), 500),
  rewards: sample(fc.array(fc.double({ min: -300, max: 300, noNaN: true }), { minLength: 1, maxLength: 64 }), 200),
  tables,
  boards: { students, resamples: resampledItems() },
  p_values: sample(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 40 }), 200),
};

const difference = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
const relative = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((value, i) => Math.abs(value - b[i]!) / Math.max(Math.abs(b[i]!), 1e-300)));

const same = (ours: number | null, theirs: number | null) =>
  ours === null || theirs === null ? ours === theirs : Math.abs(ours - theirs) <= 1e-9;

const patterns = PATTERNS.map(({ re2 }) => compilePattern(re2));
let graded: ReturnType<typeof grade>[] = [];
/** Graded once for all metrics; each text has the pattern of its place. */
function grades() {
  if (graded.length === 0) {
    graded = ask.texts.map(([references, response], i) => grade(response, references, patterns[i % patterns.length]!));
  }
  return graded;
}

describe("against rouge-score, NLTK and scipy", () => {
  let answer: Answer;
  beforeAll(() => {
    const python = spawnSync(PYTHON, [path("./oracle.py")], {
      input: JSON.stringify(ask),
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });
    expect(python.status, python.error?.message ?? python.stderr).toBe(0);
    answer = JSON.parse(python.stdout);
  });

  describe.each(MetricName.options)("%s", (metric) => {
    it("is the same on every pair, to 1e-9", () => {
      const ours = grades();
      const wrong = ask.texts.filter((_, i) => !same(ours[i]![metric], answer.metrics[metric][i]!));
      expect(wrong).toEqual([]);
      // Enough of the pairs say something: neither all right nor all wrong.
      const values = answer.metrics[metric].filter((value) => value !== null);
      expect(values.filter((value) => value > 0).length).toBeGreaterThan(1000);
      expect(values.filter((value) => value < 100).length).toBeGreaterThan(1000);
    });
  });

  it("is asked about at least 10,000 pairs", () => {
    expect(ask.texts.length).toBeGreaterThanOrEqual(10_000);
  });

  it("is asked about real answers", () => {
    expect(realTexts.length).toBeGreaterThan(1000);
  });

  it("stems as NLTK does", () => {
    const wrong = ask.words.filter((w, i) => stem(w) !== answer.stems[i]);
    expect(wrong).toEqual([]);
  });

  it("normalises as Python's lower, punctuation and split do", () => {
    expect(ask.texts.filter(([, response], i) => normalize(response) !== answer.normalized[i])).toEqual([]);
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

  it("fits Bradley-Terry strengths as scipy.optimize on the likelihood, to 1e-6", () => {
    const ours = ask.tables.map((wins) => bradleyTerry(wins).map((strength) => strength!));
    expect(difference(ours.flat(), answer.bradley_terry.flat())).toBeLessThanOrEqual(1e-6);
  });

  it("gives strengths the interval of as many fits as there are resamples", () => {
    const columns = ask.boards.students.map((shares) => Float64Array.from(shares, (p) => 100 * p));
    const means = bootstrap(columns, RESAMPLES);
    const ours = strengths(columns.map((column) => means.get(column)!)).map(({ low, high }) => [low!, high!]);
    // A percentile lies between two resamples: on the means here, on the strengths there.
    expect(difference(ours.flat(), answer.strengths.flat())).toBeLessThanOrEqual(1e-4);
  });

  it("adjusts by Holm's definition", () => {
    expect(difference(ask.p_values.flatMap(holm), answer.holm.flat())).toBeLessThanOrEqual(1e-12);
  });
});
