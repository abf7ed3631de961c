// What all resources' routes share: the router, and the pieces that every `createRoute` is made of.
import { OpenAPIHono } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { z } from "zod";
import { jsonBodyCap } from "../middleware/json-body.ts";
import { requireRole } from "../middleware/auth.ts";
import type { App } from "../services/context.ts";
import { ErrorBody } from "../wire/common.ts";
import type { Role } from "../wire/jobs.ts";
import { problem } from "../services/problems.ts";

export type Router = OpenAPIHono<App>;

/** A router whose validation failures are errors that name the field. */
export const newRouter = (): Router =>
  new OpenAPIHono<App>({
    defaultHook: (result) => {
      if (!result.success) throw problem(result.error, result.target);
    },
  });

/** Security and middleware of a route: spread it into `createRoute`. */
export const guardedBy = (middleware: MiddlewareHandler<App>) => ({
  security: [{ bearer: [] }],
  middleware: [middleware, jsonBodyCap],
});
export const guard = (role: Role) => guardedBy(requireRole(role));

/** A JSON body; `required`, or an empty request would skip validation. */
export const jsonBody = <T extends z.ZodType>(schema: T) => ({
  required: true as const,
  content: { "application/json": { schema } },
});

/** Every POST that creates takes it. */
export const IdempotencyHeaders = z.object({
  "Idempotency-Key": z.string().min(1).max(255).optional().meta({
    description: "the same key with the same body returns the first answer, for 24 h; with another body it is refused",
  }),
});

/** POSTs that may wait for their work take these. */
export const WaitHeaders = z.object({
  Prefer: z
    .string()
    .max(200)
    .optional()
    .meta({ description: "`wait=30`: wait this many seconds for the answer, 60 at most" }),
});

export const answer = <T extends z.ZodType>(schema: T, description: string) => ({
  description,
  content: { "application/json": { schema } },
});

const failure = (description: string) => answer(ErrorBody, description);

/** Errors that any guarded route may answer. */
export const ERRORS = {
  400: failure("the request is not valid; `param` names the field"),
  401: failure("no key, or one that is not valid"),
  403: failure("the key's role does not allow it"),
  404: failure("the project has no such thing"),
  409: failure("the state of the resource does not allow it"),
  413: failure("the body is too large"),
  415: failure("the body's media type is not accepted"),
  422: failure("the Idempotency-Key was used with another body, or the work failed"),
  429: failure("too many requests, or a full queue; see Retry-After"),
  500: failure("our fault; quote x-request-id"),
  503: failure("a part of the service does not answer; try again"),
};
