// One grader for each metric: what it gives a response, and what kind of value that is.
import { MetricName } from "../wire/evaluations.ts";
import { contains } from "./contains.ts";
import { exactMatch } from "./exact-match.ts";
import { numericMatch } from "./numeric-match.ts";
import { regexMatch } from "./regex-match.ts";
import type { CompiledPattern } from "./regex-match.ts";
import { rougeL } from "./rouge-l.ts";
import { rougeN } from "./rouge-n.ts";
import type { Tokens } from "./rouge-tokens.ts";
import { tokenF1 } from "./token-f1.ts";

/** A response with all that any metric looks at. */
export interface Answer {
  response: string;
  references: readonly string[];
  /** ROUGE's tokens, made once for its three metrics. */
  tokens: Tokens;
  referenceTokens: readonly Tokens[];
  pattern: CompiledPattern | null;
}

export interface Grader {
  /** Raised when the metric's values change: that begins other boards. */
  version: number;
  /** Right or wrong, which Wilson's interval and McNemar's test are for. */
  binary: boolean;
  /** x100; null: skipped. */
  value: (answer: Answer) => number | null;
}

type Judge = (answer: Answer) => boolean | null;
type Measure = (answer: Answer) => number;

const judged = (version: number, judge: Judge): Grader => ({
  version,
  binary: true,
  value: (answer) => {
    const right = judge(answer);
    return right === null ? null : 100 * Number(right);
  },
});

const measured = (version: number, measure: Measure): Grader => ({
  version,
  binary: false,
  value: (answer) => 100 * measure(answer),
});

export const GRADERS: Record<MetricName, Grader> = {
  exact_match: judged(1, ({ response, references }) => exactMatch(response, references)),
  contains: judged(1, ({ response, references }) => contains(response, references)),
  numeric_match: judged(1, ({ response, references }) => numericMatch(response, references)),
  regex_match: judged(1, ({ response, pattern }) => regexMatch(response, pattern)),
  token_f1: measured(1, ({ response, references }) => tokenF1(response, references)),
  rouge_1: measured(1, ({ tokens, referenceTokens }) => rougeN(1, tokens, referenceTokens)),
  rouge_2: measured(1, ({ tokens, referenceTokens }) => rougeN(2, tokens, referenceTokens)),
  rouge_l: measured(1, ({ tokens, referenceTokens }) => rougeL(tokens, referenceTokens)),
};

/** All graders with their versions: part of a board's name, of an evaluation's identity and of its provenance. */
export const GRADER_VERSIONS = MetricName.options.map((metric) => `${metric}/${GRADERS[metric].version}`).join(" ");

/** One value for each metric. */
export function ofEachMetric<T>(make: (metric: MetricName) => T): Record<MetricName, T> {
  const made: Partial<Record<MetricName, T>> = {};
  for (const metric of MetricName.options) made[metric] = make(metric);
  return whole(made);
}

function whole<T>(made: Partial<Record<MetricName, T>>): Record<MetricName, T> {
  if (isWhole(made)) return made;
  throw new Error("a metric is missing");
}

const isWhole = <T>(made: Partial<Record<MetricName, T>>): made is Record<MetricName, T> =>
  MetricName.options.every((metric) => metric in made);
