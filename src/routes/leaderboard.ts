// The leaderboard of one board: a data set's split, under one template, limit and pattern; and which boards there are.
import { createRoute, z } from "@hono/zod-openapi";
import { boardPage } from "../services/boards.ts";
import { leaderboard as rank } from "../services/rank.ts";
import { BoardList } from "../wire/boards.ts";
import { Name, PageQuery, Template } from "../wire/common.ts";
import { Leaderboard, MetricName, Pattern } from "../wire/evaluations.ts";
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
  pattern: Pattern.optional().meta({ description: "evaluations with this pattern; left out: of those without one" }),
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

const list = createRoute({
  method: "get",
  path: "/v1/boards",
  tags: ["evaluations"],
  summary: "Boards that have evaluations, of metrics and of preferences, those with the newest one first",
  ...guard("read"),
  request: { query: PageQuery },
  responses: { 200: answer(BoardList, "a page of boards"), ...ERRORS },
});

export const leaderboard = newRouter()
  .openapi(get, async (c) => {
    const { template, limit = null, pattern = null, ...query } = c.req.valid("query");
    const board = { ...query, template: template === GIVEN ? null : template, limit, pattern };
    return c.json(await rank(c.var.ctx, board), 200);
  })
  .openapi(list, async (c) => c.json(await boardPage(c.var.ctx, c.req.valid("query")), 200));
