// Artifacts for the edge, made of a run's checkpoints.
import { createRoute } from "@hono/zod-openapi";
import { createExport, exportFile, exportPage, getExport } from "../services/exports.ts";
import { preferWait } from "../services/wait.ts";
import { CreateExport, Export, ExportList, Precision } from "../wire/exports.ts";
import { Job } from "../wire/jobs.ts";
import { StepParams } from "./checkpoints.ts";
import { FILE_ANSWERS, FileName, sendFile } from "./file-answer.ts";
import { answerJob } from "./job-answer.ts";
import { ERRORS, IdempotencyHeaders, WaitHeaders, answer, guard, jsonBody, newRouter } from "./router.ts";

const ExportParams = StepParams.extend({ precision: Precision });
const FileParams = ExportParams.extend({ name: FileName });

const tags = ["exports"];
const path = "/v1/runs/{id}/checkpoints/{step}/exports";

const list = createRoute({
  method: "get",
  path,
  tags,
  summary: "What a checkpoint has been exported to: one of each precision at the most",
  ...guard("read"),
  request: { params: StepParams },
  responses: { 200: answer(ExportList, "the exports"), ...ERRORS },
});

const create = createRoute({
  method: "post",
  path,
  tags,
  summary: "Make an ONNX graph of the checkpoint that runs at the edge and in a browser; one there already is returned",
  ...guard("write"),
  request: {
    params: StepParams,
    body: jsonBody(CreateExport),
    headers: IdempotencyHeaders.extend(WaitHeaders.shape),
  },
  responses: { 200: answer(Export, "the export"), 202: answer(Job, "under way; see Location"), ...ERRORS },
});

const get = createRoute({
  method: "get",
  path: `${path}/{precision}`,
  tags,
  summary: "One export, with its measured difference from PyTorch",
  ...guard("read"),
  request: { params: ExportParams },
  responses: { 200: answer(Export, "the export"), ...ERRORS },
});

const download = createRoute({
  method: "get",
  path: `${path}/{precision}/files/{name}`,
  tags,
  summary: "One file of an export; the ETag is its SHA-256",
  ...guard("read"),
  request: { params: FileParams },
  responses: { ...FILE_ANSWERS, ...ERRORS },
});

export const exports = newRouter()
  .openapi(list, async (c) => {
    const { id, step } = c.req.valid("param");
    return c.json(await exportPage(c.var.ctx, id, step), 200);
  })
  .openapi(create, async (c) => {
    const { id: run, step } = c.req.valid("param");
    const made = await createExport(c.var.ctx, { run, step, ...c.req.valid("json") }, preferWait(c, 0));
    return made.object === "export" ? c.json(made, 200) : answerJob(c, made, Export);
  })
  .openapi(get, async (c) => {
    const { id, step, precision } = c.req.valid("param");
    return c.json(await getExport(c.var.ctx, id, step, precision), 200);
  })
  .openapi(download, async (c) => {
    const { id: run, ...which } = c.req.valid("param");
    return sendFile(c, await exportFile(c.var.ctx, { run, ...which }));
  });
