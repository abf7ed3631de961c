// The app: request ids, security headers, every route, one error handler, one notFound.
import { Hono } from "hono";
import type { Context as HonoContext } from "hono";
import { createMiddleware } from "hono/factory";
import { HTTPException } from "hono/http-exception";
import { secureHeaders } from "hono/secure-headers";
import { ApiError } from "./errors.ts";
import { dropUnreadBody } from "./middleware/unread-body.ts";
import { api } from "./routes/api.ts";
import { PAGES, pages } from "./routes/pages.ts";
import type { App } from "./services/context.ts";
import { apiErrorOf } from "./services/outage.ts";
import { newId } from "./services/identity.ts";

/** An answer that is data loads nothing. */
const dataHeaders = secureHeaders({
  contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
});

/** Pages set policies of their own. */
const securityHeaders = createMiddleware<App>((c, next) => (PAGES.has(c.req.path) ? next() : dataHeaders(c, next)));

/** What the router itself throws: a body that is not JSON, or of another media type. */
function fromRouter(error: HTTPException): ApiError {
  if (error.status === 415 || /content[- ]type/i.test(error.message)) {
    return new ApiError(
      "unsupported_media_type",
      "Content-Type: this media type is not accepted here; send application/json.",
      {
        param: "Content-Type",
        cause: error,
      },
    );
  }
  if (error.status === 400) return new ApiError("invalid_json", "The body is not valid JSON.", { cause: error });
  return new ApiError("internal", "Something went wrong on our side; quote x-request-id.", { cause: error });
}

function toApiError(error: Error): ApiError {
  return error instanceof HTTPException ? fromRouter(error) : apiErrorOf(error);
}

/** Ids and the error's own text only: no body, no key. */
function report(c: HonoContext<App>, error: ApiError): void {
  const { cause } = error;
  const trace = cause instanceof Error ? cause.stack : undefined;
  console.error(JSON.stringify({ request: c.var.requestId, code: error.code, path: c.req.path, trace }));
}

function answerError(c: HonoContext<App>, error: ApiError): Response {
  if (error.status >= 500) report(c, error);
  if (error.retryAfter !== null) c.header("Retry-After", String(error.retryAfter));
  c.header("x-should-retry", String(error.retryable));
  return c.json(error.body(), error.status);
}

const METHODS = ["GET", "POST", "PUT", "DELETE"] as const;

/** Methods that some route takes at this path. */
function allowedMethods(app: Hono<App>, path: string): string[] {
  return METHODS.filter((method) => {
    const [handlers] = app.router.match(method, path);
    // Middleware is registered for "ALL".
    return handlers.some(([[, route]]) => route.method === method);
  });
}

function answerNotFound(app: Hono<App>, c: HonoContext<App>): Response {
  const allowed = allowedMethods(app, c.req.path).filter((method) => method !== c.req.method);
  if (allowed.length > 0) {
    c.header("Allow", allowed.join(", "));
    return answerError(c, new ApiError("method_not_allowed", `${c.req.path} takes ${allowed.join(", ")}.`));
  }
  return answerError(c, new ApiError("not_found", `There is nothing at ${c.req.path}; see /docs.`));
}

function createApp(): Hono<App> {
  const app = new Hono<App>();
  app.use(async (c, next) => {
    c.set("requestId", newId("req"));
    c.header("x-request-id", c.var.requestId);
    await next();
  });
  app.use(dropUnreadBody);
  app.use(securityHeaders);
  app.route("/", pages);
  app.route("/", api());
  app.onError((error, c) => answerError(c, toApiError(error)));
  app.notFound((c) => answerNotFound(app, c));
  return app;
}

export const app = createApp();
