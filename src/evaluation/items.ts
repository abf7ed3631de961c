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
  const graded = new Map<string, number[]>();
  for (const { item, metrics } of records) {
    const value = metrics[metric];
    if (value !== null) graded.set(item, [...(graded.get(item) ?? []), value]);
  }
  const single = [...graded.values()].every((values) => values.length === 1);
  const values = new Map([...graded].map(([item, all]) => [item, all.reduce((a, b) => a + b, 0) / all.length]));
  return { values, binary: GRADERS[metric].binary && single };
}
