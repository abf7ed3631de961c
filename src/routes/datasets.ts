// Data sets: JSON Lines in, rows out.
import { createRoute, z } from "@hono/zod-openapi";
import { ApiError } from "../errors.ts";
import { createDataset, deleteDataset, listDatasets, listRows } from "../services/dataset-registry.ts";
import { findDataset } from "../services/datasets.ts";
import { Name, PageQuery } from "../wire/common.ts";
import { Dataset, DatasetList, RowList } from "../wire/datasets.ts";
import { Deleted } from "../wire/jobs.ts";
import { ERRORS, IdempotencyHeaders, answer, guard, newRouter } from "./router.ts";

const Params = z.object({ id: Name });
const JSON_LINES = ["application/x-ndjson", "application/jsonl", "text/plain"] as const;
const LINES = { schema: { type: "string" as const } };

const tags = ["datasets"];
const path = "/v1/datasets";

const list = createRoute({
  method: "get",
  path,
  tags,
  summary: "Data sets, newest first",
  ...guard("read"),
  request: { query: PageQuery },
  responses: { 200: answer(DatasetList, "a page of data sets"), ...ERRORS },
});

const create = createRoute({
  method: "post",
  path,
  tags,
  summary: "Upload a data set as JSON Lines; a bad line is refused with its number, and nothing is stored",
  ...guard("write"),
  request: {
    query: z.strictObject({ name: Name, split: Name.default("train") }),
    headers: IdempotencyHeaders,
    // Described and not validated: zod-openapi takes application/jsonl for JSON, and would refuse every line of it.
    body: { required: true, content: Object.fromEntries(JSON_LINES.map((type) => [type, LINES])) },
  },
  responses: { 200: answer(Dataset, "the data set"), ...ERRORS },
});

const get = createRoute({
  method: "get",
  path: `${path}/{id}`,
  tags,
  summary: "One data set, by id or by name",
  ...guard("read"),
  request: { params: Params },
  responses: { 200: answer(Dataset, "the data set"), ...ERRORS },
});

const rows = createRoute({
  method: "get",
  path: `${path}/{id}/rows`,
  tags,
  summary: "Rows of a split, in the order of the upload",
  ...guard("read"),
  request: { params: Params, query: PageQuery.extend({ split: Name.optional() }) },
  responses: { 200: answer(RowList, "a page of rows"), ...ERRORS },
});

const remove = createRoute({
  method: "delete",
  path: `${path}/{id}`,
  tags,
  summary: "Delete a data set; 409 while something uses it",
  ...guard("write"),
  request: { params: Params },
  responses: { 200: answer(Deleted, "deleted"), ...ERRORS },
});

function requireJsonLines(contentType: string | undefined): void {
  const type = (contentType ?? "").split(";", 1).join("").trim().toLowerCase();
  if (JSON_LINES.some((accepted) => accepted === type)) return;
  const message = `Content-Type: send JSON Lines as ${JSON_LINES[0]}; this is ${type === "" ? "not said" : type}.`;
  throw new ApiError("unsupported_media_type", message, { param: "Content-Type" });
}

export const datasets = newRouter()
  .openapi(list, async (c) => c.json(await listDatasets(c.var.ctx, c.req.valid("query")), 200))
  .openapi(create, async (c) => {
    requireJsonLines(c.req.header("content-type"));
    return c.json(await createDataset(c.var.ctx, { ...c.req.valid("query"), body: c.req.raw.body }), 200);
  })
  .openapi(get, async (c) => c.json((await findDataset(c.var.ctx, c.req.valid("param").id, "id")).body, 200))
  .openapi(rows, async (c) => {
    const dataset = await findDataset(c.var.ctx, c.req.valid("param").id, "id");
    return c.json(await listRows(c.var.ctx, dataset, c.req.valid("query")), 200);
  })
  .openapi(remove, async (c) => c.json(await deleteDataset(c.var.ctx, c.req.valid("param").id), 200));
