// When to give a job up: deaths and attempts are counted since it last advanced.
import { MAX_ATTEMPTS, MAX_DEATHS } from "../config.ts";
import type { Failure } from "../wire/common.ts";

export interface Setbacks {
  /** Leases given since the head or an item last advanced. */
  tries: number;
  /** Leases among them that ended in a silent or hung worker; a closed socket and a drain are not deaths. */
  deaths: number;
  /** What the last of them said. */
  last_error: string | null;
}

/** Null while the job deserves another lease. */
export function poisoned(job: Setbacks): Failure | null {
  if (job.deaths < MAX_DEATHS && job.tries < MAX_ATTEMPTS) return null;
  const count =
    job.deaths >= MAX_DEATHS ? `${job.deaths} workers died at it` : `${job.tries} attempts brought it no further`;
  const last = job.last_error === null ? "" : `; the last: ${job.last_error}`;
  return { code: "poisoned", message: `${count}${last}`, retryable: true };
}

/** Pause before a job that a worker gave back is leased again, ms: what made it fail may pass. */
export function retryWaitMs(tries: number): number {
  return 500 * 2 ** Math.min(tries, 6);
}
