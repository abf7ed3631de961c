// The unit of every statistic is the item: with several seeds its value is the mean over them.
import type { MetricName } from "../wire/evaluations.ts";

/** One graded response; null where it has no grade. */
export interface GradedRecord {
  item: string;
  exact_match: number | null;
  rouge_l: number | null;
}

/** The items' values on one metric, 0 to 100. */
export interface ItemValues {
  values: Map<string, number>;
  /** 0/1 answers with one seed: Wilson and McNemar apply. */
  binary: boolean;
}

/** Items without any grade are left out. */
export function itemValues(records: readonly GradedRecord[], metric: MetricName): ItemValues {
  const graded = new Map<string, number[]>();
  for (const record of records) {
    const value = record[metric];
    if (value !== null) graded.set(record.item, [...(graded.get(record.item) ?? []), value]);
  }
  const single = [...graded.values()].every((values) => values.length === 1);
  const values = new Map([...graded].map(([item, all]) => [item, all.reduce((a, b) => a + b, 0) / all.length]));
  return { values, binary: metric === "exact_match" && single };
}
