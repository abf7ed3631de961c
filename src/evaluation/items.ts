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
export const itemValues = (records: readonly GradedRecord[], metric: MetricName): ItemValues =>
  itemMeans(
    records.map(({ item, metrics }) => ({ item, value: metrics[metric] })),
    GRADERS[metric].binary,
  );

/** `binary`: whether every single value is right or wrong. */
export function itemMeans(records: readonly { item: string; value: number | null }[], binary: boolean): ItemValues {
  const sums = new Map<string, number>();
  const counts = new Map<string, number>();
  for (const { item, value } of records) {
    if (value === null) continue;
    const before = sums.get(item);
    sums.set(item, (before ?? 0) + value);
    if (before !== undefined) counts.set(item, (counts.get(item) ?? 1) + 1);
  }
  // Only of items with several seeds is anything counted.
  for (const [item, count] of counts) sums.set(item, (sums.get(item) ?? 0) / count);
  return { values: sums, binary: binary && counts.size === 0 };
}
