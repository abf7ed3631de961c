// The leaderboard of one board: a data set's split, under one template, limit and metric.
import { createRoute, z } from "@hono/zod-openapi";
import { leaderboard as rank } from "../services/rank.ts";
import { Name, Template } from "../wire/common.ts";
import { Leaderboard, MetricName } from "../wire/evaluations.ts";
import { ERRORS, answer, guard, newRouter } from "./router.ts";

/** Evaluations of given responses: how the prompts were rendered is not known here. */
const GIVEN = "given";

const BoardQuery = z.strictObject({
  dataset: z.string().min(1).max(128).meta({ description: "a data set's id or name" }),
  split: Name.default("test"),
  template: z
    .enum([...Template.options, GIVEN])
    .default("chat")
    .meta({ description: "given: the board of evaluations of given responses, whose template is not known" }),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .meta({ description: "evaluations of the first so many rows; left out: of all" }),
  metric: MetricName.default("exact_match"),
});

const get = createRoute({
  method: "get",
  path: "/v1/leaderboard",
  tags: ["evaluations"],
  summary: "Models ranked on one split, with intervals, paired tests and groups",
  ...guard("read"),
  request: { query: BoardQuery },
  responses: { 200: answer(Leaderboard, "the board"), ...ERRORS },
});

export const leaderboard = newRouter().openapi(get, async (c) => {
  const { template, limit = null, ...query } = c.req.valid("query");
  return c.json(await rank(c.var.ctx, { ...query, template: template === GIVEN ? null : template, limit }), 200);
});
