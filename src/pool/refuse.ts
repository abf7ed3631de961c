// Refusals are values: an error thrown over RPC would lose its class.
import { IDEMPOTENCY_MS, MAX_QUEUED_JOBS, QUEUE_RETRY_S } from "../config.ts";
import type { ErrorCode } from "../errors.ts";
import type { Answer, Created, Refusal } from "./api.ts";
import type { Turn } from "./turn.ts";

export const refuse = (code: ErrorCode, message: string): Refusal => ({ ok: false, code, message });

export const answer = <T>(value: T): Answer<T> => ({ ok: true, value });

export const created = <T>(resource: T): Answer<Created<T>> => answer({ replayed: false, resource });

/** The answer to a request whose id is there already: the same resource, if it is the same request. */
export function replayed<T>(
  turn: Turn,
  row: { digest: string; created_at: number },
  digest: string,
  resource: () => T,
): Answer<Created<T>> {
  if (row.digest !== digest) {
    return refuse("idempotency_mismatch", "this Idempotency-Key was used for another request; use a new key");
  }
  if (turn.now - row.created_at > IDEMPOTENCY_MS) {
    return refuse("idempotency_expired", "this Idempotency-Key is older than 24 hours; use a new key");
  }
  return answer({ replayed: true, resource: resource() });
}

/** Null while the project may queue another job. */
export function queueFull(turn: Turn, project: string): Refusal | null {
  if (turn.tables.active.of(project) < MAX_QUEUED_JOBS) return null;
  const message = `the project has ${MAX_QUEUED_JOBS} unfinished jobs; wait until some are done`;
  return { ...refuse("queue_full", message), retryAfter: QUEUE_RETRY_S };
}
