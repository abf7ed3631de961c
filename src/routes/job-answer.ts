// The answer to a request that made a job: its result once it is completed, else 202 and where to ask.
import type { Context as HonoContext } from "hono";
import type { z } from "zod";
import type { App } from "../services/context.ts";
import { presentJob } from "../services/job-view.ts";
import type { JobState } from "../services/job-view.ts";
import { jobResult } from "../services/results.ts";
import { accepted } from "../services/wait.ts";

/** `schema` is what the result is; parsed, since results are made for every kind of job in one place. */
export async function answerJob<T extends z.ZodType<object>>(c: HonoContext<App>, job: JobState, schema: T) {
  const result = await jobResult(c.var.ctx, job);
  if (result === null) return accepted(c, presentJob(job, null), `/v1/jobs/${job.id}`);
  return c.json(schema.parse(result), 200);
}

/** Steps are followed by their job, whether it still goes on or the run was there already: one type of answer. */
export async function answerSteps(c: HonoContext<App>, job: JobState) {
  const result = await jobResult(c.var.ctx, job);
  if (result === null) return accepted(c, presentJob(job, null), `/v1/jobs/${job.id}`);
  return c.json(presentJob(job, result), 200);
}
