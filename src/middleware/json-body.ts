// JSON bodies: capped while reading, so that no header decides what is held in memory.
import { createMiddleware } from "hono/factory";
import { MAX_JSON_BYTES } from "../config.ts";
import { readAll } from "../services/stream.ts";
import type { App } from "../services/context.ts";

const JSON_TYPE = /^application\/([\w.-]+\+)?json\s*(;|$)/i;

/** Reads a JSON body under the cap; other media types are left to their routes, which stream them under caps of their own. */
export const jsonBodyCap = createMiddleware<App>(async (c, next) => {
  const { raw } = c.req;
  if (raw.body !== null && JSON_TYPE.test(c.req.header("content-type") ?? "")) {
    c.req.raw = new Request(raw, { body: await readAll(raw.body, MAX_JSON_BYTES, "The JSON body") });
  }
  await next();
});
