// 95% intervals of a mean over items, in the items' own unit.
import { below, randomWords } from "./random.ts";

export interface Interval {
  mean: number;
  low: number;
  high: number;
  n: number;
}

/** The 97.5% quantile of the normal distribution. */
export const Z_95 = 1.959963984540054;

/**
 * Wilson score interval of a share, 0 to 1, without continuity correction.
 *
 * `(p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)`.
 * Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
 *
 * @param successes items that are right, of `n >= 1`
 */
export function wilson(successes: number, n: number): Interval {
  const share = successes / n;
  const z2 = Z_95 ** 2;
  const scale = 1 + z2 / n;
  const center = (share + z2 / (2 * n)) / scale;
  const half = (Z_95 * Math.sqrt((share * (1 - share)) / n + z2 / (4 * n * n))) / scale;
  // At the ends the formula gives 0 and 1 but for rounding.
  const low = successes === 0 ? 0 : center - half;
  const high = successes === n ? 1 : center + half;
  return { mean: share, low, high, n };
}

export function mean(values: readonly number[] | Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/** Linear interpolation between the two nearest of the sorted values. */
function quantile(sorted: Float64Array, q: number): number {
  const at = q * (sorted.length - 1);
  const low = sorted[Math.floor(at)] ?? NaN;
  const high = sorted[Math.ceil(at)] ?? NaN;
  return low + (high - low) * (at - Math.floor(at));
}

interface Resampling {
  resamples: number;
  seed: number;
}

/** The sorted means of the resamples of each column; all columns have one length. */
function resampledMeans(columns: readonly Float64Array[], { resamples, seed }: Resampling): Float64Array[] {
  const n = columns[0]?.length ?? 0;
  const fill = randomWords(seed);
  const drawn = new Uint32Array(n);
  const means = columns.map(() => new Float64Array(resamples));
  for (let r = 0; r < resamples; r++) {
    fill(drawn);
    for (let i = 0; i < n; i++) drawn[i] = below(drawn[i] ?? 0, n);
    columns.forEach((column, k) => {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += column[drawn[i] ?? 0] ?? 0;
      const own = means[k];
      if (own !== undefined) own[r] = sum / n;
    });
  }
  return means.map((own) => own.sort());
}

/**
 * Percentile bootstrap over items: the 2.5% and 97.5% quantiles of the means of `resamples` samples with replacement.
 *
 * Columns of one length are resampled at the same places, so that the draws, which cost the most, are made once; the
 * interval of a column is the same whichever others are beside it.
 *
 * Source: B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1979.
 *
 * @param columns each of at least one value
 */
export function bootstrap(columns: readonly Float64Array[], options: Resampling): Map<Float64Array, Interval> {
  const intervals = new Map<Float64Array, Interval>();
  for (const same of Map.groupBy(columns, (column) => column.length).values()) {
    resampledMeans(same, options).forEach((means, k) => {
      const [low, high] = [quantile(means, 0.025), quantile(means, 0.975)];
      const column = same[k];
      if (column !== undefined) intervals.set(column, { mean: mean(column), low, high, n: column.length });
    });
  }
  return intervals;
}
