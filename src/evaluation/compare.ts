// A paired comparison of two evaluations of the same items.
import type { ItemValues } from "./items.ts";
import { mean } from "./interval.ts";
import { mcNemar, signFlip } from "./tests.ts";

export interface Comparison {
  /** Two-sided; null where too few items are graded in both. */
  p: number | null;
  /** Standard deviation of the items' differences, points; null where `p` is. */
  sd: number | null;
  /** Items graded in both. */
  n: number;
}

export interface ComparisonOptions {
  /** Share of the items of either that both must have graded. */
  minOverlap: number;
  flips: number;
}

/** Seed of every permutation test: a pair's p-value is a function of its records alone. */
const PERMUTATION_SEED = 1935;

/** Exact McNemar for 0/1 with one seed each, else a sign-flip permutation test over items. */
export function compare(a: ItemValues, b: ItemValues, options: ComparisonOptions): Comparison {
  const differences: number[] = [];
  for (const [item, value] of a.values) {
    const other = b.values.get(item);
    if (other !== undefined) differences.push(value - other);
  }
  const n = differences.length;
  if (n === 0 || n < options.minOverlap * Math.max(a.values.size, b.values.size)) return { p: null, sd: null, n };
  const p =
    a.binary && b.binary
      ? mcNemar(differences.filter((d) => d > 0).length, differences.filter((d) => d < 0).length)
      : signFlip(differences, { flips: options.flips, seed: PERMUTATION_SEED });
  return { p, sd: deviation(differences), n };
}

/** Standard deviation about the mean, divided by n. */
function deviation(values: readonly number[]): number {
  const center = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - center) ** 2, 0) / values.length);
}
