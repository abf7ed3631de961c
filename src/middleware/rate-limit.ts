// A token bucket for each caller and isolate: an outer guard against a runaway client; queues have their own caps.
import { REQUESTS_PER_MINUTE } from "../config.ts";

/** Callers kept at once; above it the fullest bucket's loss is at most one minute of allowance. */
const CALLERS = 10_000;
const PER_MS = REQUESTS_PER_MINUTE / 60_000;

export interface Bucket {
  tokens: number;
  at: number;
}

export interface Allowance {
  allowed: boolean;
  /** Whole requests left now. */
  remaining: number;
  /** Seconds until the next request is allowed (0: now). */
  wait: number;
}

/** Refills by the time passed, then takes one. Pure but for the bucket it is given. */
export function take(bucket: Bucket, now: number): Allowance {
  bucket.tokens = Math.min(REQUESTS_PER_MINUTE, bucket.tokens + Math.max(0, now - bucket.at) * PER_MS);
  bucket.at = now;
  if (bucket.tokens < 1) return { allowed: false, remaining: 0, wait: Math.ceil((1 - bucket.tokens) / PER_MS / 1000) };
  bucket.tokens -= 1;
  return { allowed: true, remaining: Math.floor(bucket.tokens), wait: 0 };
}

const buckets = new Map<string, Bucket>();

export function allow(caller: string, now: number): Allowance {
  const bucket = buckets.get(caller) ?? { tokens: REQUESTS_PER_MINUTE, at: now };
  if (buckets.size >= CALLERS) buckets.clear();
  buckets.set(caller, bucket);
  return take(bucket, now);
}
