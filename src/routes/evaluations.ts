// Evaluations and their records.
import { createRoute, z } from "@hono/zod-openapi";
import { ApiError } from "../errors.ts";
import { evaluateResponses } from "../services/evaluate-given.ts";
import { evaluateModel } from "../services/evaluate.ts";
import { cancelEvaluation, deleteEvaluation, ended, evaluationPage, getEvaluation } from "../services/evaluations.ts";
import { exportRecords } from "../services/export-records.ts";
import { readGiven } from "../services/read-given.ts";
import { recordPage } from "../services/records.ts";
import { accepted, preferWait } from "../services/wait.ts";
import { PageQuery } from "../wire/common.ts";
import { CreateEvaluation, Evaluation, EvaluationList, RecordFilter, RecordList } from "../wire/evaluations.ts";
import { Deleted } from "../wire/jobs.ts";
import { download, exportRoute } from "./record-files.ts";
import { ERRORS, IdempotencyHeaders, WaitHeaders, answer, guard, newRouter } from "./router.ts";

const Params = z.object({ id: z.string().regex(/^ev_[0-9A-Za-z]{1,64}$/) });
const NDJSON = "application/x-ndjson";

const tags = ["evaluations"];
const path = "/v1/evaluations/{id}";

const list = createRoute({
  method: "get",
  path: "/v1/evaluations",
  tags,
  summary: "Evaluations, newest first",
  ...guard("read"),
  request: { query: PageQuery },
  responses: { 200: answer(EvaluationList, "a page of evaluations"), ...ERRORS },
});

const create = createRoute({
  method: "post",
  path: "/v1/evaluations",
  tags,
  summary: "Generate with a model and grade, or grade given responses",
  description: `As ${NDJSON}: one GivenResponse a line, with name, dataset, split, pattern and repeat in the query.`,
  ...guard("write"),
  request: {
    // Not `required`: the JSON validator would then refuse JSON Lines.
    body: { content: { "application/json": { schema: CreateEvaluation }, [NDJSON]: { schema: z.string() } } },
    headers: IdempotencyHeaders.extend(WaitHeaders.shape),
  },
  responses: { 200: answer(Evaluation, "ended"), 202: answer(Evaluation, "under way; see Location"), ...ERRORS },
});

const get = createRoute({
  method: "get",
  path,
  tags,
  summary: "One evaluation; completed once its figures are there",
  ...guard("read"),
  request: { params: Params },
  responses: { 200: answer(Evaluation, "the evaluation"), ...ERRORS },
});

const records = createRoute({
  method: "get",
  path: `${path}/records`,
  tags,
  summary: "Graded responses, in the order of the split",
  ...guard("read"),
  request: { params: Params, query: PageQuery.extend(RecordFilter.shape) },
  responses: { 200: answer(RecordList, "a page of records"), ...ERRORS },
});

const request = { params: Params, query: RecordFilter };
const exportJsonl = exportRoute(path, "jsonl", {
  tags,
  summary: "Graded responses as JSON Lines, one EvaluationRecord each",
  request,
});
const exportCsv = exportRoute(path, "csv", {
  tags,
  summary: "Graded responses as CSV, with a header row; references are JSON in one cell",
  request,
});

const cancel = createRoute({
  method: "post",
  path: `${path}/cancel`,
  tags,
  summary: "Stop an evaluation; one that has ended stays as it is",
  ...guard("write"),
  request: { params: Params },
  responses: { 200: answer(Evaluation, "the evaluation"), ...ERRORS },
});

const remove = createRoute({
  method: "delete",
  path,
  tags,
  summary: "Delete an evaluation with its records",
  ...guard("write"),
  request: { params: Params },
  responses: { 200: answer(Deleted, "deleted"), ...ERRORS },
});

const mediaType = (header: string | undefined): string => (header ?? "").split(";", 1).join("").trim().toLowerCase();

export const evaluations = newRouter()
  .openapi(list, async (c) => c.json(await evaluationPage(c.var.ctx, c.req.valid("query")), 200))
  .openapi(create, async (c) => {
    const type = mediaType(c.req.header("content-type"));
    if (type === NDJSON)
      return c.json(await evaluateResponses(c.var.ctx, await readGiven(c.req.query(), c.req.raw.body)), 200);
    // Other media types were refused before; none at all came without a body.
    if (type === "") throw new ApiError("invalid_request", "Send a body: a model to evaluate, or responses to grade.");
    // The declared types of the two media types are one union here; this body is JSON, and valid already.
    const body = CreateEvaluation.parse(c.req.valid("json"));
    if ("responses" in body) return c.json(await evaluateResponses(c.var.ctx, body), 200);
    const evaluation = await evaluateModel(c.var.ctx, body, preferWait(c, 0));
    return ended(evaluation) ? c.json(evaluation, 200) : accepted(c, evaluation, `/v1/evaluations/${evaluation.id}`);
  })
  .openapi(get, async (c) => c.json(await getEvaluation(c.var.ctx, c.req.valid("param").id), 200))
  .openapi(records, async (c) =>
    c.json(await recordPage(c.var.ctx, c.req.valid("param").id, c.req.valid("query")), 200),
  )
  .openapi(exportJsonl, async (c) => {
    const { id } = c.req.valid("param");
    return download(c, id, "jsonl", await exportRecords(c.var.ctx, id, c.req.valid("query"), "jsonl"));
  })
  .openapi(exportCsv, async (c) => {
    const { id } = c.req.valid("param");
    return download(c, id, "csv", await exportRecords(c.var.ctx, id, c.req.valid("query"), "csv"));
  })
  .openapi(cancel, async (c) => c.json(await cancelEvaluation(c.var.ctx, c.req.valid("param").id), 200))
  .openapi(remove, async (c) => {
    const { id } = c.req.valid("param");
    await deleteEvaluation(c.var.ctx, id);
    return c.json({ id, object: "evaluation", deleted: true as const }, 200);
  });
