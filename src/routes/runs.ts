// Distillation runs, their steps and their events.
import { createRoute, z } from "@hono/zod-openapi";
import { cancelRun, createRun, deleteRun, requireRun, runPage, stepPage, takeSteps } from "../services/distill.ts";
import { eventStream, lastEventId } from "../services/events.ts";
import { preferWait } from "../services/wait.ts";
import { PageQuery } from "../wire/common.ts";
import { Deleted, Job } from "../wire/jobs.ts";
import { CreateRun, Run, RunList, StepList, TakeSteps } from "../wire/runs.ts";
import { answerSteps } from "./job-answer.ts";
import { ERRORS, IdempotencyHeaders, WaitHeaders, answer, guard, jsonBody, newRouter } from "./router.ts";

export const RunParams = z.object({ id: z.string().regex(/^run_[0-9A-Za-z]{1,64}$/) });

const tags = ["runs"];
const path = "/v1/runs/{id}";

const list = createRoute({
  method: "get",
  path: "/v1/runs",
  tags,
  summary: "Runs, newest first",
  ...guard("read"),
  request: { query: PageQuery },
  responses: { 200: answer(RunList, "a page of runs"), ...ERRORS },
});

const create = createRoute({
  method: "post",
  path: "/v1/runs",
  tags,
  summary: "Prepare a distillation run; no step is taken yet",
  ...guard("write"),
  request: { body: jsonBody(CreateRun), headers: IdempotencyHeaders },
  responses: { 200: answer(Run, "the run"), ...ERRORS },
});

const get = createRoute({
  method: "get",
  path,
  tags,
  summary: "One run",
  ...guard("read"),
  request: { params: RunParams },
  responses: { 200: answer(Run, "the run"), ...ERRORS },
});

const remove = createRoute({
  method: "delete",
  path,
  tags,
  summary: "Delete a run with its checkpoints; 409 while something uses one of them",
  ...guard("write"),
  request: { params: RunParams },
  responses: { 200: answer(Deleted, "deleted"), ...ERRORS },
});

const cancel = createRoute({
  method: "post",
  path: `${path}/cancel`,
  tags,
  summary: "Stop a run; its steps and checkpoints stay",
  ...guard("write"),
  request: { params: RunParams },
  responses: { 200: answer(Run, "the run"), ...ERRORS },
});

const listSteps = createRoute({
  method: "get",
  path: `${path}/steps`,
  tags,
  summary: "Steps with their metrics, in order",
  ...guard("read"),
  request: { params: RunParams, query: PageQuery },
  responses: { 200: answer(StepList, "a page of steps"), ...ERRORS },
});

const take = createRoute({
  method: "post",
  path: `${path}/steps`,
  tags,
  summary: "Take optimizer steps: up to step `to`, or `count` more (with an Idempotency-Key)",
  ...guard("write"),
  request: { params: RunParams, body: jsonBody(TakeSteps), headers: IdempotencyHeaders.extend(WaitHeaders.shape) },
  responses: {
    200: answer(Job, "the steps are taken; result is the run"),
    202: answer(Job, "under way; see Location"),
    ...ERRORS,
  },
});

const events = createRoute({
  method: "get",
  path: `${path}/events`,
  tags,
  summary: "The run's events as they happen, until it has ended",
  ...guard("read"),
  request: {
    params: RunParams,
    headers: z.object({
      "Last-Event-ID": z
        .string()
        .optional()
        .meta({ description: "the id of the last event seen: the stream goes on after it" }),
    }),
  },
  responses: {
    200: {
      description: "server-sent events; data is a RunEvent",
      content: { "text/event-stream": { schema: z.string() } },
    },
    204: { description: "the run has ended and nothing is left: do not reconnect" },
    ...ERRORS,
  },
});

export const runs = newRouter()
  .openapi(list, async (c) => c.json(await runPage(c.var.ctx, c.req.valid("query")), 200))
  .openapi(create, async (c) => c.json(await createRun(c.var.ctx, c.req.valid("json")), 200))
  .openapi(get, async (c) => c.json(await requireRun(c.var.ctx, c.req.valid("param").id), 200))
  .openapi(remove, async (c) => {
    const { id } = c.req.valid("param");
    await deleteRun(c.var.ctx, id);
    return c.json({ id, object: "run", deleted: true as const }, 200);
  })
  .openapi(cancel, async (c) => c.json(await cancelRun(c.var.ctx, c.req.valid("param").id), 200))
  .openapi(listSteps, async (c) =>
    c.json(await stepPage(c.var.ctx, c.req.valid("param").id, c.req.valid("query")), 200),
  )
  .openapi(take, async (c) => {
    const job = await takeSteps(c.var.ctx, c.req.valid("param").id, c.req.valid("json"), preferWait(c, 0));
    return answerSteps(c, job);
  })
  .openapi(events, async (c) => {
    const after = lastEventId(c.req.header("last-event-id"));
    const stream = await eventStream(c.var.ctx, c.req.valid("param").id, after);
    if (stream === null) return c.body(null, 204);
    return c.body(stream, 200, { "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store" });
  });
