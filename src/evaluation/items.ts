// The unit of every statistic is the item: with several seeds its value is the mean over them.
import type { MetricName, MetricValues } from "../wire/evaluations.ts";
import { GRADERS } from "./graders.ts";

/** One graded response. */
export interface GradedRecord {
  item: string;
  metrics: MetricValues;
}

/** The items' values on one metric, 0 to 100. */
export interface ItemValues {
  values: Map<string, number>;
  /** Right or wrong, with one seed: Wilson and McNemar apply. */
  binary: boolean;
}

/** Items without any grade are left out. */
export function itemValues(records: readonly GradedRecord[], metric: MetricName): ItemValues {
  const sums = new Map<string, number>();
  const counts = new Map<string, number>();
  for (const { item, metrics } of records) {
    const value = metrics[metric];
    if (value === null) continue;
    const before = sums.get(item);
    sums.set(item, (before ?? 0) + value);
    if (before !== undefined) counts.set(item, (counts.get(item) ?? 1) + 1);
  }
  // Only of items with several seeds is anything counted.
  for (const [item, count] of counts) sums.set(item, (sums.get(item) ?? 0) / count);
  return { values: sums, binary: GRADERS[metric].binary && counts.size === 0 };
}
