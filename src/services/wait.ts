// Waiting for work: `Prefer: wait`, 202 answers, and refusals of the pool.
import type { Context as HonoContext } from "hono";
import { MAX_WAIT_S, RETRY_AFTER_S } from "../config.ts";
import { ApiError } from "../errors.ts";
import type { Answer } from "../pool/api.ts";
import type { App } from "./context.ts";

const WAIT = /(?:^|[,;\s])wait\s*=\s*([0-9]{1,9})(?:$|[,;\s])/i;

/** Seconds to wait for the answer: `Prefer: wait=N` cut to the limit and confirmed in `Preference-Applied`, else the default. */
export function preferWait(c: HonoContext<App>, defaultSeconds: number): number {
  const asked = WAIT.exec(c.req.header("prefer") ?? "")?.[1];
  if (asked === undefined) return defaultSeconds;
  const seconds = Math.min(Number(asked), MAX_WAIT_S);
  c.header("Preference-Applied", `wait=${seconds}`);
  return seconds;
}

/** 202: work that goes on, and where to ask for it. */
export function accepted<T extends object>(c: HonoContext<App>, body: T, location: string) {
  c.header("Location", location);
  c.header("Retry-After", String(RETRY_AFTER_S));
  return c.json(body, 202);
}

/** The pool's value, or its refusal as an error: errors thrown across RPC lose their class. */
export function unwrap<T>(answer: Answer<T>): T {
  if (answer.ok) return answer.value;
  throw new ApiError(
    answer.code,
    answer.message,
    answer.retryAfter === undefined ? {} : { retryAfter: answer.retryAfter },
  );
}
