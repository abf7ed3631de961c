// A lease's life on the pool's clock, in relative durations. Only progress renews it; a tick that stands still ends it.
import { CLOSED_SOCKET_MS, ENGINE_DEADLINE_MS, LEASE_MS } from "../config.ts";

/** Times are Unix milliseconds of the pool's clock. */
export interface LeaseClock {
  until: number;
  /** The last tick reported, and when it last grew. */
  tick: number;
  tick_at: number;
  /** How long the tick may stand still, ms. */
  deadline_ms: number;
  /** What is known of its holder: its socket is open; it is closed; it has come back without the lease. */
  closed: "open" | "closed" | "dropped";
}

export type LeaseVerdict = "expired" | "hung" | "disconnected" | "dropped";

export function beginLease(now: number, deadlineMs: number): LeaseClock {
  return { until: now + LEASE_MS, tick: 0, tick_at: now, deadline_ms: deadlineMs, closed: "open" };
}

export function renewLease<L extends LeaseClock>(lease: L, tick: number, now: number): L {
  const advanced = tick > lease.tick;
  return {
    ...lease,
    until: now + LEASE_MS,
    tick: advanced ? tick : lease.tick,
    tick_at: advanced ? now : lease.tick_at,
  };
}

/** The socket closed: the same boot may come back within a few seconds. */
export function cutLease<L extends LeaseClock>(lease: L, now: number): L {
  return { ...lease, until: Math.min(lease.until, now + CLOSED_SOCKET_MS), closed: "closed" };
}

/** The same boot said hello in time. Its engine has kept working: the tick's own deadline goes on, but for the time in which
 * the pool was away, before `since`, and heard nothing. */
export function reopenLease<L extends LeaseClock>(lease: L, now: number, since: number): L {
  const tickAt = lease.tick_at < since ? now : lease.tick_at;
  return { ...lease, until: now + LEASE_MS, tick_at: tickAt, closed: "open" };
}

/** The same boot said hello, and does not know of it: it is over. */
export function dropLease<L extends LeaseClock>(lease: L, now: number): L {
  return { ...lease, until: now, closed: "dropped" };
}

export function leaseEndsAt(lease: LeaseClock): number {
  return Math.min(lease.until, lease.tick_at + lease.deadline_ms);
}

/** Why a lease that is over has ended. `open`: whether its holder's socket is. */
export function leaseVerdict(lease: LeaseClock, now: number, open: boolean): LeaseVerdict {
  if (lease.closed === "dropped") return "dropped";
  if (lease.closed === "closed" || !open) return "disconnected";
  return now >= lease.until ? "expired" : "hung";
}

/** `medianSeconds` of the run's steps; null where nothing is known yet. */
export function engineDeadlineMs(medianSeconds: number | null): number {
  return Math.max(ENGINE_DEADLINE_MS, Math.ceil(10_000 * (medianSeconds ?? 0)));
}
