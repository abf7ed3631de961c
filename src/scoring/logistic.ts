// The logistic function and its logarithm, without overflow and without losing small values.

/** `1 / (1 + exp(-x))`. The exponential is only ever of a negative number, so it cannot overflow. */
export function sigmoid(x: number): number {
  const e = Math.exp(-Math.abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

/** `log(sigmoid(x)) = -log(1 + exp(-x))`, exact to rounding where `sigmoid(x)` itself is 0 or 1. */
export function logSigmoid(x: number): number {
  return Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)));
}

/** `log(sum(exp(x_i)))`, shifted by the largest so that nothing overflows; at least one value. */
export function logSumExp(values: readonly number[]): number {
  const max = Math.max(...values);
  return max + Math.log(values.reduce((sum, value) => sum + Math.exp(value - max), 0));
}
