// Checkpoints of a run, and their files.
import { createRoute, z } from "@hono/zod-openapi";
import { checkpointFile, checkpointPage, createCheckpoint, getCheckpoint } from "../services/checkpoints.ts";
import { preferWait } from "../services/wait.ts";
import { PageQuery } from "../wire/common.ts";
import { Job } from "../wire/jobs.ts";
import { Checkpoint, CheckpointList } from "../wire/runs.ts";
import { FILE_ANSWERS, FileName, sendFile } from "./file-answer.ts";
import { answerJob } from "./job-answer.ts";
import { ERRORS, IdempotencyHeaders, WaitHeaders, answer, guard, newRouter } from "./router.ts";
import { RunParams } from "./runs.ts";

export const StepParams = RunParams.extend({ step: z.string().regex(/^(best|[0-9]{1,9}(\.[0-9]{1,6})?)$/) });
const FileParams = StepParams.extend({ name: FileName });

const tags = ["checkpoints"];
const path = "/v1/runs/{id}/checkpoints";

const list = createRoute({
  method: "get",
  path,
  tags,
  summary: "Checkpoints, newest first",
  ...guard("read"),
  request: { params: RunParams, query: PageQuery },
  responses: { 200: answer(CheckpointList, "a page of checkpoints"), ...ERRORS },
});

const create = createRoute({
  method: "post",
  path,
  tags,
  summary: "Keep the weights as they are now",
  ...guard("write"),
  request: { params: RunParams, headers: IdempotencyHeaders.extend(WaitHeaders.shape) },
  responses: { 200: answer(Checkpoint, "the checkpoint"), 202: answer(Job, "under way; see Location"), ...ERRORS },
});

const get = createRoute({
  method: "get",
  path: `${path}/{step}`,
  tags,
  summary: "One checkpoint, by step or step.lineage, or the best",
  ...guard("read"),
  request: { params: StepParams },
  responses: { 200: answer(Checkpoint, "the checkpoint"), ...ERRORS },
});

const download = createRoute({
  method: "get",
  path: `${path}/{step}/files/{name}`,
  tags,
  summary: "One file of a checkpoint; the ETag is its SHA-256",
  ...guard("read"),
  request: { params: FileParams },
  responses: {
    ...FILE_ANSWERS,
    ...ERRORS,
  },
});

export const checkpoints = newRouter()
  .openapi(list, async (c) =>
    c.json(await checkpointPage(c.var.ctx, c.req.valid("param").id, c.req.valid("query")), 200),
  )
  .openapi(create, async (c) => {
    const job = await createCheckpoint(c.var.ctx, c.req.valid("param").id, preferWait(c, 0));
    return answerJob(c, job, Checkpoint);
  })
  .openapi(get, async (c) => {
    const { id, step } = c.req.valid("param");
    return c.json(await getCheckpoint(c.var.ctx, id, step), 200);
  })
  .openapi(download, async (c) => {
    const { id, step, name } = c.req.valid("param");
    return sendFile(c, await checkpointFile(c.var.ctx, id, step, name));
  });
