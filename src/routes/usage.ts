// What a project used.
import { createRoute, z } from "@hono/zod-openapi";
import { getUsage } from "../services/usage.ts";
import { Usage } from "../wire/jobs.ts";
import { ERRORS, answer, guard, newRouter } from "./router.ts";

const get = createRoute({
  method: "get",
  path: "/v1/usage",
  tags: ["usage"],
  summary: "Tokens scored, generated and trained by day (UTC), and bytes stored",
  ...guard("read"),
  request: { query: z.strictObject({ days: z.coerce.number().int().min(1).max(366).default(31) }) },
  responses: { 200: answer(Usage, "the days on which anything was used, newest first"), ...ERRORS },
});

export const usage = newRouter().openapi(get, async (c) =>
  c.json(await getUsage(c.var.ctx, c.req.valid("query").days), 200),
);
