// What each metric is called and what it says, in a few words.
import type { MetricName } from "../wire/evaluations.ts";

interface Described {
  label: string;
  about: string;
}

/** Of every metric that the wire names, and of those that a newer server may. */
const METRICS: Record<MetricName, Described> & Record<string, Described> = {
  exact_match: { label: "Exact match", about: "share of responses that equal a reference, case and punctuation aside" },
  contains: { label: "Contains", about: "share of responses that hold a reference among other words" },
  numeric_match: { label: "Numeric match", about: "share of responses whose last number is that of a reference" },
  regex_match: { label: "Regex match", about: "share of responses that fit the board's pattern" },
  token_f1: { label: "Token F1", about: "words shared with the closest reference, neither missing nor in excess" },
  rouge_1: { label: "ROUGE-1", about: "words shared with the closest reference" },
  rouge_2: { label: "ROUGE-2", about: "pairs of neighbouring words shared with the closest reference" },
  rouge_l: { label: "ROUGE-L", about: "longest sequence of words in common with the closest reference" },
};

export const DEFAULT_METRIC = "exact_match";

export const metricLabel = (metric: string): string => METRICS[metric]?.label ?? metric;

export const metricAbout = (metric: string): string => METRICS[metric]?.about ?? "";

/** The metrics that a board may be ranked by, a pattern being needed for one of them; and the one that it is ranked by. */
export const metricsOf = (board: { pattern: string | null }, chosen: string): string[] => {
  const offered = Object.keys(METRICS).filter((metric) => metric !== "regex_match" || board.pattern !== null);
  return offered.includes(chosen) ? offered : [...offered, chosen];
};
