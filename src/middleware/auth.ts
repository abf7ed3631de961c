// Authenticates, limits the rate, checks the role, and gives the handler its context.
import type { Context as HonoContext } from "hono";
import { createMiddleware } from "hono/factory";
import { REQUESTS_PER_MINUTE } from "../config.ts";
import { ApiError } from "../errors.ts";
import { authenticate } from "../services/auth.ts";
import { poolOf } from "../services/context.ts";
import type { App, Caller } from "../services/context.ts";
import { database } from "../store/database.ts";
import type { Role } from "../wire/jobs.ts";
import { allow } from "./rate-limit.ts";

/** What each role may do besides its own. */
const INCLUDES: Record<Role, readonly Role[]> = {
  admin: ["admin", "write", "read"],
  write: ["write", "read"],
  read: ["read"],
  worker: ["worker"],
};
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

async function identify(c: HonoContext<App>): Promise<Caller> {
  const now = Date.now();
  const caller = await authenticate(c.env, c.req.header("authorization"), now);
  const { allowed, remaining, wait } = allow(caller.kind === "operator" ? "operator" : caller.key.id, now);
  c.header("RateLimit-Policy", `"requests";q=${REQUESTS_PER_MINUTE};w=60`);
  c.header("RateLimit", `"requests";r=${remaining};t=${wait}`);
  if (!allowed) {
    const message = `More than ${REQUESTS_PER_MINUTE} requests a minute with this key; try again in ${wait} s.`;
    throw new ApiError("rate_limited", message, { retryAfter: wait });
  }
  c.set("caller", caller);
  c.set("idempotencyKey", idempotencyKey(c));
  return caller;
}

function idempotencyKey(c: HonoContext<App>): string | null {
  const header = c.req.header("idempotency-key");
  if (header === undefined) return null;
  if (IDEMPOTENCY_KEY.test(header)) return header;
  throw new ApiError("invalid_request", "Idempotency-Key: send 1 to 255 visible ASCII characters.", {
    param: "Idempotency-Key",
  });
}

function forbidden(role: Role, caller: Caller): ApiError {
  const has = caller.kind === "operator" ? "the operator's secret" : `a key of role ${caller.key.role}`;
  return new ApiError("forbidden", `This needs a project's key of role ${role}; you sent ${has}.`);
}

function enterProject(c: HonoContext<App>, caller: Caller, role: Role): void {
  if (caller.kind === "operator" || caller.project === null || !INCLUDES[caller.key.role].includes(role)) {
    throw forbidden(role, caller);
  }
  c.set("ctx", {
    env: c.env,
    db: database(c.env.DB),
    pool: poolOf(c.env, caller.project.pool),
    project: caller.project,
    key: caller.key,
    requestId: c.var.requestId,
    idempotencyKey: c.var.idempotencyKey,
  });
}

/** A key of a project whose role includes `role`; sets `ctx`. */
export const requireRole = (role: Role) =>
  createMiddleware<App>(async (c, next) => {
    enterProject(c, await identify(c), role);
    await next();
  });

/** The operator's secret, or a project's key as `requireRole`; `ctx` is set for the latter only. */
export const requireOperatorOr = (role: Role) =>
  createMiddleware<App>(async (c, next) => {
    const caller = await identify(c);
    if (caller.kind !== "operator") enterProject(c, caller, role);
    await next();
  });

/** Any worker key, a project's own or a shared one; sets `caller` alone. */
export const requireWorker = createMiddleware<App>(async (c, next) => {
  const caller = await identify(c);
  if (caller.kind === "operator" || caller.key.role !== "worker") throw forbidden("worker", caller);
  await next();
});

/** The operator's secret; sets `caller` alone. */
export const requireOperator = createMiddleware<App>(async (c, next) => {
  const caller = await identify(c);
  if (caller.kind !== "operator") throw new ApiError("forbidden", "Only the operator's secret may do this.");
  await next();
});
