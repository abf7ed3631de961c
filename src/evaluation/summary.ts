// An evaluation's figures: the mean over items with its 95% interval, x100.
import type { EvaluationMetrics, MetricInterval } from "../wire/evaluations.ts";
import { ofEachMetric } from "./graders.ts";
import { bootstrap, wilson } from "./interval.ts";
import { itemValues } from "./items.ts";
import type { GradedRecord, ItemValues } from "./items.ts";

/** Seed of every bootstrap: an evaluation's interval is a function of its records alone. */
const BOOTSTRAP_SEED = 95;

/** The items' values alone, 0 to 100: a fifth of what they take beside the items' names. */
interface Column {
  values: Float64Array;
  binary: boolean;
}

const columnOf = ({ values, binary }: ItemValues): Column => ({ values: Float64Array.from(values.values()), binary });

function shareOf(values: Float64Array): MetricInterval {
  const { mean, low, high, n } = wilson(values.filter((value) => value === 100).length, values.length);
  return { mean: 100 * mean, low: 100 * low, high: 100 * high, n };
}

/** Wilson for right or wrong, else the bootstrap, for all columns at once; a column without values has none. */
function intervalsOf(columns: readonly Column[], resamples: number): Map<Column, MetricInterval> {
  const graded = columns.filter(({ values }) => values.length > 0);
  const measured = graded.filter(({ binary }) => !binary).map(({ values }) => values);
  const intervals = bootstrap(measured, { resamples, seed: BOOTSTRAP_SEED });
  return new Map(graded.map((column) => [column, intervals.get(column.values) ?? shareOf(column.values)]));
}

/** Null where nothing is graded. */
export function intervalOf(values: ItemValues, resamples: number): MetricInterval | null {
  const column = columnOf(values);
  return intervalsOf([column], resamples).get(column) ?? null;
}

/** Wilson for right or wrong with one seed, else seeded bootstrap over items; null where nothing is graded. */
export function summarize(records: readonly GradedRecord[], { resamples }: { resamples: number }): EvaluationMetrics {
  const columns = ofEachMetric((metric) => columnOf(itemValues(records, metric)));
  const intervals = intervalsOf(Object.values(columns), resamples);
  return ofEachMetric((metric) => intervals.get(columns[metric]) ?? null);
}
