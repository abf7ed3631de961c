// A lease's life on the pool's clock, in relative durations. Only progress renews it; a tick that stands still ends it.
import { CLOSED_SOCKET_MS, ENGINE_DEADLINE_MS, LEASE_MS, RESTART_GRACE_MS } from "../config.ts";

/** Times are Unix milliseconds of the pool's clock. */
export interface LeaseClock {
  until: number;
  /** The last tick reported, and when it last grew. */
  tick: number;
  tick_at: number;
  /** How long the tick may stand still, ms. */
  deadline_ms: number;
  /** Whether the holder's socket is closed. */
  closed: boolean;
}

export type LeaseVerdict = "live" | "expired" | "hung" | "disconnected";

export function beginLease(now: number, deadlineMs: number): LeaseClock {
  return { until: now + LEASE_MS, tick: 0, tick_at: now, deadline_ms: deadlineMs, closed: false };
}

export function renewLease(lease: LeaseClock, tick: number, now: number): LeaseClock {
  const advanced = tick > lease.tick;
  return {
    ...lease,
    until: now + LEASE_MS,
    tick: advanced ? tick : lease.tick,
    tick_at: advanced ? now : lease.tick_at,
  };
}

/** The socket closed: the same boot may come back within a few seconds. */
export function cutLease(lease: LeaseClock, now: number): LeaseClock {
  return { ...lease, until: Math.min(lease.until, now + CLOSED_SOCKET_MS), closed: true };
}

/** The pool was away, not the worker: what it may have missed meanwhile is no fault of the lease. */
export function graceLease(lease: LeaseClock, now: number): LeaseClock {
  return { ...lease, until: now + RESTART_GRACE_MS, tick_at: now, closed: true };
}

/** The same boot said hello in time. Its engine has kept working: the tick's own deadline goes on. */
export function reopenLease(lease: LeaseClock, now: number): LeaseClock {
  return { ...lease, until: now + LEASE_MS, closed: false };
}

export function leaseEndsAt(lease: LeaseClock): number {
  return Math.min(lease.until, lease.tick_at + lease.deadline_ms);
}

export function leaseVerdict(lease: LeaseClock, now: number): LeaseVerdict {
  if (now < leaseEndsAt(lease)) return "live";
  if (lease.closed) return "disconnected";
  return now >= lease.until ? "expired" : "hung";
}

/** `medianSeconds` of the run's steps; null where nothing is known yet. */
export function engineDeadlineMs(medianSeconds: number | null): number {
  return Math.max(ENGINE_DEADLINE_MS, Math.ceil(10_000 * (medianSeconds ?? 0)));
}
