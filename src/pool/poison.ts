// When to give a job up: three budgets, each counted since the job last advanced.
import { MAX_DEATHS, MAX_FAILURES, MAX_INTERRUPTIONS, MAX_SETBACK_WAIT_MS } from "../config.ts";
import type { Failure } from "../wire/common.ts";

/** death: its worker hung at it, or died while it computed it. failure: a worker said that it failed. interruption: whatever says
 * nothing of the job itself: a connection, R2, D1, the pool, a worker that leaves. */
export type SetbackKind = "death" | "failure" | "interruption";

export interface Setbacks {
  deaths: number;
  failures: number;
  interruptions: number;
  /** What they said, the last one first. */
  last_error: string | null;
}

/** A job that has advanced begins anew. */
export const ADVANCED = { deaths: 0, failures: 0, interruptions: 0, last_error: null, suspect: null };

/** Characters of a history that are kept. */
const MAX_HISTORY = 1000;

/** The counts after one setback more. */
export function counted(job: Setbacks, kind: SetbackKind, detail: string): Setbacks {
  const before = job.last_error === null ? "" : `; before: ${job.last_error}`;
  return {
    deaths: job.deaths + (kind === "death" ? 1 : 0),
    failures: job.failures + (kind === "failure" ? 1 : 0),
    interruptions: job.interruptions + (kind === "interruption" ? 1 : 0),
    last_error: `${detail}${before}`.slice(0, MAX_HISTORY),
  };
}

/** Null while the job deserves another lease. */
export function poisoned(job: Setbacks): Failure | null {
  const what = spent(job);
  if (what === null) return null;
  const last = job.last_error === null ? "" : `; the last: ${job.last_error}`;
  return { code: "poisoned", message: `${what}${last}`, retryable: true };
}

function spent({ deaths, failures, interruptions }: Setbacks): string | null {
  if (deaths >= MAX_DEATHS) return `${deaths} workers died at it`;
  if (failures >= MAX_FAILURES) return `it failed ${failures} times`;
  return interruptions >= MAX_INTERRUPTIONS ? `it was interrupted ${interruptions} times` : null;
}

/** Pause before the job is leased again, ms: what made it fail may pass. The first interruption costs none. */
export function pauseMs(kind: SetbackKind, job: Setbacks): number {
  if (kind === "death") return 0;
  const times = kind === "failure" ? job.failures : job.interruptions - 1;
  return times <= 0 ? 0 : Math.min(MAX_SETBACK_WAIT_MS, 500 * 2 ** Math.min(times, 10));
}
