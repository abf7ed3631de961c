// Paired tests of two evaluations of the same items, and their adjustment for being many. All p-values are two-sided.
import { randomWords } from "./random.ts";

/** `sum_{k <= m} C(n, k) / 2^n`: the largest term from logarithms, the smaller ones from it by their ratios. */
function binomialTail(m: number, n: number): number {
  let logTerm = -n * Math.LN2;
  for (let k = 1; k <= m; k++) logTerm += Math.log((n - k + 1) / k);
  let ratio = 1;
  let sum = 1;
  for (let k = m; k > 0 && ratio > 1e-17; k--) {
    ratio *= k / (n - k + 1);
    sum += ratio;
  }
  return Math.exp(logTerm) * sum;
}

/**
 * Exact McNemar test: given that b + c items differ, either side is equally likely to be the right one.
 *
 * `p = min(1, 2 P(X <= min(b, c)))`, `X ~ Binomial(b + c, 1/2)`; 1 where no item differs.
 * Source: Q. McNemar, Psychometrika 12, 1947, in its exact form.
 *
 * @param onlyA items that only the first got right
 * @param onlyB items that only the second got right
 */
export function mcNemar(onlyA: number, onlyB: number): number {
  if (onlyA === onlyB) return 1;
  return Math.min(1, 2 * binomialTail(Math.min(onlyA, onlyB), onlyA + onlyB));
}

/**
 * Sign-flip permutation test: were the two alike, each item's difference would be as likely with the other sign.
 *
 * `p = (1 + #{|S*| >= |S|}) / (1 + flips)`, S the sum of the differences, S* under random signs: never 0.
 * Source: R. A. Fisher, "The design of experiments", 1935; the added one: Phipson and Smyth, 2010.
 */
export function signFlip(differences: readonly number[], options: { flips: number; seed: number }): number {
  const items = Float64Array.from(differences.filter((difference) => difference !== 0));
  if (items.length === 0) return 1;
  const total = items.reduce((sum, value) => sum + value, 0);
  // Sums of the same numbers in another order differ in rounding; they count as equal.
  const threshold = Math.abs(total) - 1e-9 * items.reduce((sum, value) => sum + Math.abs(value), 0);
  const fill = randomWords(options.seed);
  const sums = sumsByFour(items);
  const signs = new Uint32Array(Math.ceil(items.length / 32));
  let extreme = 0;
  for (let flip = 0; flip < options.flips; flip++) {
    fill(signs);
    if (Math.abs(2 * sumOfHalf(sums, signs) - total) >= threshold) extreme++;
  }
  return (1 + extreme) / (1 + options.flips);
}

/** For every four items in a row the sums of their 16 subsets, by the subset's bits. */
function sumsByFour(items: Float64Array): Float64Array {
  const sums = new Float64Array(16 * Math.ceil(items.length / 4));
  for (let at = 0; at < sums.length; at++) {
    const subset = at & 15;
    const lowest = 31 - Math.clz32(subset & -subset);
    const item = items[4 * (at >>> 4) + lowest] ?? 0;
    if (subset !== 0) sums[at] = item + (sums[at - (1 << lowest)] ?? 0);
  }
  return sums;
}

/** Sum of the items whose bit is set, four at a time. */
function sumOfHalf(sums: Float64Array, signs: Uint32Array): number {
  let sum = 0;
  let bits = 0;
  for (let four = 0; 16 * four < sums.length; four++) {
    bits = (four & 7) === 0 ? (signs[four >>> 3] ?? 0) : bits >>> 4;
    sum += sums[16 * four + (bits & 15)] ?? 0;
  }
  return sum;
}

/**
 * Holm's adjusted p-values, in the order given: with the m values sorted, the largest of `(m - j) p_(j)` up to each, at most 1.
 *
 * Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
 */
export function holm(pValues: readonly number[]): number[] {
  const sorted = pValues.map((p, index) => ({ p, index })).sort((a, b) => a.p - b.p);
  const adjusted = new Array<number>(pValues.length).fill(1);
  let largest = 0;
  sorted.forEach(({ p, index }, j) => {
    largest = Math.max(largest, Math.min(1, (sorted.length - j) * p));
    adjusted[index] = largest;
  });
  return adjusted;
}
