// Bradley-Terry strengths of students, each compared with one teacher on the same items.
import { bradleyTerry } from "./bradley-terry.ts";

/** Mean probability that a student's output is preferred, and its interval, x100, over `n` items. */
export interface Preferred {
  mean: number;
  low: number;
  high: number;
  n: number;
}

/** Log-odds with the teacher at 0; null: not bounded on that side, since all was won or lost. */
export interface Strength {
  value: number | null;
  low: number | null;
  high: number | null;
}

/** The teacher in the first place; students meet only the teacher. */
const table = (shares: readonly { share: number; n: number }[]): number[][] => [
  [0, ...shares.map(({ share, n }) => n * (1 - share))],
  ...shares.map(({ share, n }) => [n * share, ...shares.map(() => 0)]),
];

/**
 * Each student's strength with its 95% interval, fitted together.
 *
 * A student's strength rises with the mean that it is fitted to and depends on no other, so the ends of the bootstrap
 * interval of the mean give those of the strength: percentiles keep their places under a monotone change of scale. The
 * bootstrap's seed and the order of items are the same for all, so that all are resampled at the same items.
 *
 * Source: B. Efron and R. Tibshirani, "An introduction to the bootstrap", 1993, section 13.3.
 */
export function strengths(students: readonly Preferred[]): Strength[] {
  const fit = (end: "mean" | "low" | "high"): (number | null)[] =>
    bradleyTerry(table(students.map((student) => ({ share: student[end] / 100, n: student.n })))).slice(1);
  const [value, low, high] = [fit("mean"), fit("low"), fit("high")];
  return students.map((_, i) => ({ value: value[i] ?? null, low: low[i] ?? null, high: high[i] ?? null }));
}
