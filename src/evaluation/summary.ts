// An evaluation's figures: the mean over items with its 95% interval, x100.
import type { EvaluationMetrics, MetricInterval } from "../wire/evaluations.ts";
import { ofEachMetric } from "./graders.ts";
import { bootstrap, wilson } from "./interval.ts";
import { itemValues } from "./items.ts";
import type { GradedRecord, ItemValues } from "./items.ts";

/** Seed of every bootstrap: an evaluation's interval is a function of its records alone. */
const BOOTSTRAP_SEED = 95;

/** Null where nothing is graded. */
export function intervalOf({ values, binary }: ItemValues, resamples: number): MetricInterval | null {
  const all = [...values.values()];
  if (all.length === 0) return null;
  if (!binary) return bootstrap(all, { resamples, seed: BOOTSTRAP_SEED });
  const share = wilson(all.filter((value) => value === 100).length, all.length);
  return { mean: 100 * share.mean, low: 100 * share.low, high: 100 * share.high, n: share.n };
}

/** Wilson for right or wrong with one seed, else seeded bootstrap over items; null where nothing is graded. */
export const summarize = (records: readonly GradedRecord[], options: { resamples: number }): EvaluationMetrics =>
  ofEachMetric((metric) => intervalOf(itemValues(records, metric), options.resamples));
