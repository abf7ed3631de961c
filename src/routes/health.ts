// For load balancers and people: needs no key.
import { createRoute } from "@hono/zod-openapi";
import { health as check } from "../services/health.ts";
import { Health } from "../wire/jobs.ts";
import { ERRORS, answer, newRouter } from "./router.ts";

const get = createRoute({
  method: "get",
  path: "/healthz",
  tags: ["service"],
  summary: "Whether the record and the pool answer",
  security: [],
  responses: { 200: answer(Health, "both answer"), 500: ERRORS[500], 503: ERRORS[503] },
});

export const health = newRouter().openapi(get, async (c) => c.json(await check(c.env), 200));
