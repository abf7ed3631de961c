// Sizes, rates and log-probabilities as people read them.
import { signed } from "../dashboard/format.ts";

export function megabytes(bytes: number): string {
  const value = bytes / 1_000_000;
  return `${value.toFixed(value < 10 ? 1 : 0)} MB`;
}

export const nats = (logprob: number): string => signed(logprob, 2);

export const reward = (value: number): string => signed(value, 3);

/** Two digits that count, and no zeros behind them. */
export function brief(value: number): string {
  const written = String(Number(Math.abs(value).toPrecision(2)));
  return signed(value, written.split(".")[1]?.length ?? 0);
}

/** A difference that is hoped to be small. */
export function small(value: number): string {
  if (value === 0) return "0";
  return value < 0.001 ? value.toExponential(1) : value.toPrecision(2);
}
