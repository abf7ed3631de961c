// What a suite ends with, and how it is told.
import { z } from "zod";

export const Outcome = z.strictObject({
  passed: z.int(),
  failed: z.int(),
  /** Tests that could not run on this machine, each with its reason. */
  skipped: z.array(z.strictObject({ name: z.string(), reason: z.string() })),
  /** Tests that took long, s. */
  slow: z.array(z.strictObject({ name: z.string(), seconds: z.number() })),
});
export type Outcome = z.infer<typeof Outcome>;

/** A test that takes longer than this is listed with its time, s. */
export const SLOW_S = 5;

export const nothing = (): Outcome => ({ passed: 0, failed: 0, skipped: [], slow: [] });

/** A suite that ended badly without a failed test (it did not load, it was killed) counts as one failure. */
export function settle(outcome: Outcome, good: boolean): Outcome {
  return outcome.failed === 0 && !good ? { ...outcome, failed: 1 } : outcome;
}

export function sum(outcomes: readonly Outcome[]): Outcome {
  return {
    passed: outcomes.reduce((total, { passed }) => total + passed, 0),
    failed: outcomes.reduce((total, { failed }) => total + failed, 0),
    skipped: outcomes.flatMap(({ skipped }) => skipped),
    slow: outcomes.flatMap(({ slow }) => slow),
  };
}

/** One line: how many tests were skipped for each reason. */
export function skips({ skipped }: Outcome): string {
  const counts = new Map<string, number>();
  for (const { reason } of skipped) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const reasons = [...counts].map(([reason, count]) => `${count}: ${reason}`);
  return [`${skipped.length} skipped`, ...reasons].join("; ");
}

/** The tests that took long, the slowest first. */
export function slowest({ slow }: Outcome): string[] {
  return slow
    .toSorted((a, b) => b.seconds - a.seconds)
    .map(({ name, seconds }) => `${seconds.toFixed(1).padStart(6)} s  ${name}`);
}
