// Jobs: what goes on behind a 202.
import { createRoute, z } from "@hono/zod-openapi";
import { cancelJob, getJob, listJobs, retryJob } from "../services/jobs.ts";
import { accepted, preferWait } from "../services/wait.ts";
import { PageQuery } from "../wire/common.ts";
import { Job, JobList } from "../wire/jobs.ts";
import { ERRORS, IdempotencyHeaders, WaitHeaders, answer, guard, newRouter } from "./router.ts";

const Params = z.object({ id: z.string().regex(/^job_[0-9A-Za-z]{1,64}$/) });

const tags = ["jobs"];
const path = "/v1/jobs";

const list = createRoute({
  method: "get",
  path,
  tags,
  summary: "Jobs, newest first, without their results",
  ...guard("read"),
  request: { query: PageQuery },
  responses: { 200: answer(JobList, "a page of jobs"), ...ERRORS },
});

const get = createRoute({
  method: "get",
  path: `${path}/{id}`,
  tags,
  summary: "One job; its result is the body that the 200 would have had",
  ...guard("read"),
  request: { params: Params, headers: WaitHeaders },
  responses: { 200: answer(Job, "the job"), ...ERRORS },
});

const cancel = createRoute({
  method: "post",
  path: `${path}/{id}/cancel`,
  tags,
  summary: "Cancel a job; one that has ended stays as it is",
  ...guard("write"),
  request: { params: Params },
  responses: { 200: answer(Job, "the job"), ...ERRORS },
});

const retry = createRoute({
  method: "post",
  path: `${path}/{id}/retry`,
  tags,
  summary: "A new job in place of one that failed or was cancelled",
  ...guard("write"),
  request: { params: Params, headers: IdempotencyHeaders },
  responses: { 202: answer(Job, "the new job; see Location"), ...ERRORS },
});

export const jobs = newRouter()
  .openapi(list, async (c) => c.json(await listJobs(c.var.ctx, c.req.valid("query")), 200))
  .openapi(get, async (c) => c.json(await getJob(c.var.ctx, c.req.valid("param").id, preferWait(c, 0)), 200))
  .openapi(cancel, async (c) => c.json(await cancelJob(c.var.ctx, c.req.valid("param").id), 200))
  .openapi(retry, async (c) => {
    const job = await retryJob(c.var.ctx, c.req.valid("param").id);
    return accepted(c, job, `${path}/${job.id}`);
  });
