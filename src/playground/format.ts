// Sizes, rates and log-probabilities as people read them.
import { signed } from "../dashboard/format.ts";

export function megabytes(bytes: number): string {
  const value = bytes / 1_000_000;
  return `${value.toFixed(value < 10 ? 1 : 0)} MB`;
}

export const nats = (logprob: number): string => signed(logprob, 2);

export const reward = (value: number): string => signed(value, 3);

/** Of what is 0 within rounding. */
export const small = (value: number): string => (value === 0 ? "0" : value.toPrecision(2));
