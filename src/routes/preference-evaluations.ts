// Preference evaluations, their records, and the leaderboards over them.
import { createRoute, z } from "@hono/zod-openapi";
import { evaluatePreferences } from "../services/evaluate-preferences.ts";
import { ended } from "../services/evaluations.ts";
import {
  cancelPreferenceEvaluation,
  deletePreferenceEvaluation,
  getPreferenceEvaluation,
  preferenceEvaluationPage,
} from "../services/preference-evaluations.ts";
import { exportPreferenceRecords, preferenceRecordPage } from "../services/preference-records.ts";
import { preferenceLeaderboard as rank } from "../services/rank-preferences.ts";
import { accepted, preferWait } from "../services/wait.ts";
import { ModelName, Name, PageQuery, Template } from "../wire/common.ts";
import { Deleted } from "../wire/jobs.ts";
import {
  CreatePreferenceEvaluation,
  PreferenceEvaluation,
  PreferenceEvaluationList,
  PreferenceKind,
  PreferenceLeaderboard,
  PreferenceRecordFilter,
  PreferenceRecordList,
} from "../wire/preference-evaluations.ts";
import { Beta, DEFAULT_BETA } from "../wire/scores.ts";
import { download, exportRoute } from "./record-files.ts";
import { ERRORS, IdempotencyHeaders, WaitHeaders, answer, guard, jsonBody, newRouter } from "./router.ts";

const Params = z.object({ id: z.string().regex(/^pe_[0-9A-Za-z]{1,64}$/) });

const tags = ["preference evaluations"];
const all = "/v1/preference-evaluations";
const path = `${all}/{id}` as const;

const BoardQuery = z.strictObject({
  kind: PreferenceKind,
  dataset: z.string().min(1).max(128).meta({ description: "a data set's id or name" }),
  split: Name.default("test"),
  template: Template.default("chat"),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .meta({ description: "evaluations of the first so many rows; left out: of all" }),
  length_normalize: z.enum(["true", "false"]).default("false"),
  teacher: ModelName.optional().meta({ description: "closeness: the one teacher of the board" }),
  beta: z.coerce
    .number()
    .pipe(Beta)
    .optional()
    .meta({ description: `closeness: ${DEFAULT_BETA} unless given` }),
  generation: z
    .string()
    .max(2000)
    .optional()
    .meta({ description: "closeness: a Generation as JSON; left out: the default one" }),
});

const list = createRoute({
  method: "get",
  path: all,
  tags,
  summary: "Preference evaluations, newest first",
  ...guard("read"),
  request: { query: PageQuery },
  responses: { 200: answer(PreferenceEvaluationList, "a page of preference evaluations"), ...ERRORS },
});

const create = createRoute({
  method: "post",
  path: all,
  tags,
  summary: "Judge a data set's pairs, or the student's outputs against its teacher's, by implicit reward",
  ...guard("write"),
  request: {
    body: jsonBody(CreatePreferenceEvaluation),
    headers: IdempotencyHeaders.extend(WaitHeaders.shape),
  },
  responses: {
    200: answer(PreferenceEvaluation, "ended"),
    202: answer(PreferenceEvaluation, "under way; see Location"),
    ...ERRORS,
  },
});

const get = createRoute({
  method: "get",
  path,
  tags,
  summary: "One preference evaluation; completed once its figures are there",
  ...guard("read"),
  request: { params: Params },
  responses: { 200: answer(PreferenceEvaluation, "the preference evaluation"), ...ERRORS },
});

const records = createRoute({
  method: "get",
  path: `${path}/records`,
  tags,
  summary: "Judged pairs, in the order of the split",
  ...guard("read"),
  request: { params: Params, query: PageQuery.extend(PreferenceRecordFilter.shape) },
  responses: { 200: answer(PreferenceRecordList, "a page of records"), ...ERRORS },
});

const request = { params: Params, query: PreferenceRecordFilter };
const exportJsonl = exportRoute(path, "jsonl", {
  tags,
  summary: "Judged pairs as JSON Lines, one PreferenceRecord each",
  request,
});
const exportCsv = exportRoute(path, "csv", { tags, summary: "Judged pairs as CSV, with a header row", request });

const cancel = createRoute({
  method: "post",
  path: `${path}/cancel`,
  tags,
  summary: "Stop a preference evaluation; one that has ended stays as it is",
  ...guard("write"),
  request: { params: Params },
  responses: { 200: answer(PreferenceEvaluation, "the preference evaluation"), ...ERRORS },
});

const remove = createRoute({
  method: "delete",
  path,
  tags,
  summary: "Delete a preference evaluation with its records",
  ...guard("write"),
  request: { params: Params },
  responses: { 200: answer(Deleted, "deleted"), ...ERRORS },
});

const leaderboard = createRoute({
  method: "get",
  path: "/v1/preference-leaderboard",
  tags,
  summary: "Students ranked by preference accuracy, or by closeness to one teacher",
  ...guard("read"),
  request: { query: BoardQuery },
  responses: { 200: answer(PreferenceLeaderboard, "the board"), ...ERRORS },
});

export const preferenceEvaluations = newRouter()
  .openapi(list, async (c) => c.json(await preferenceEvaluationPage(c.var.ctx, c.req.valid("query")), 200))
  .openapi(create, async (c) => {
    const evaluation = await evaluatePreferences(c.var.ctx, c.req.valid("json"), preferWait(c, 0));
    return ended(evaluation) ? c.json(evaluation, 200) : accepted(c, evaluation, `${all}/${evaluation.id}`);
  })
  .openapi(get, async (c) => c.json(await getPreferenceEvaluation(c.var.ctx, c.req.valid("param").id), 200))
  .openapi(records, async (c) =>
    c.json(await preferenceRecordPage(c.var.ctx, c.req.valid("param").id, c.req.valid("query")), 200),
  )
  .openapi(exportJsonl, async (c) => {
    const { id } = c.req.valid("param");
    return download(c, id, "jsonl", await exportPreferenceRecords(c.var.ctx, id, c.req.valid("query"), "jsonl"));
  })
  .openapi(exportCsv, async (c) => {
    const { id } = c.req.valid("param");
    return download(c, id, "csv", await exportPreferenceRecords(c.var.ctx, id, c.req.valid("query"), "csv"));
  })
  .openapi(cancel, async (c) => c.json(await cancelPreferenceEvaluation(c.var.ctx, c.req.valid("param").id), 200))
  .openapi(remove, async (c) => {
    const { id } = c.req.valid("param");
    await deletePreferenceEvaluation(c.var.ctx, id);
    return c.json({ id, object: "preference_evaluation", deleted: true as const }, 200);
  })
  .openapi(leaderboard, async (c) => {
    const { limit = null, length_normalize, ...query } = c.req.valid("query");
    return c.json(await rank(c.var.ctx, { ...query, limit, length_normalize: length_normalize === "true" }), 200);
  });
