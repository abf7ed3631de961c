// Jobs: one from the pool with its result; the list from the record, which follows the pool.
import { ApiError } from "../errors.ts";
import type { JobState } from "../pool/api.ts";
import { listJobRows } from "../store/jobs.ts";
import type { Job } from "../wire/jobs.ts";
import type { Context } from "./context.ts";
import { resourceId } from "./identity.ts";
import { presentJob } from "./job-view.ts";
import { page } from "./list.ts";
import { jobResult } from "./results.ts";
import { unwrap } from "./wait.ts";
import { takers } from "./workers.ts";

const withResult = async (ctx: Context, job: JobState): Promise<Job> => presentJob(job, await jobResult(ctx, job));

/** The job once it is terminal, or as it is after `seconds`. */
export async function getJob(ctx: Context, id: string, seconds: number): Promise<Job> {
  const { pool, project } = ctx;
  const job = seconds === 0 ? await pool.getJob(project.id, id) : await pool.waitJob(project.id, id, seconds * 1000);
  if (job === null) throw new ApiError("not_found", `The project has no job ${id}; see GET /v1/jobs.`, { param: "id" });
  return withResult(ctx, job);
}

/** Newest first; the place in the queue and the result are on each job's own page. */
export async function listJobs(ctx: Context, query: { after?: string | undefined; limit: number }) {
  const [rows, workers] = await Promise.all([
    listJobRows(ctx.db, ctx.project.id, query.after, query.limit + 1),
    ctx.pool.workers(ctx.project.id),
  ]);
  const jobs = rows.map(({ body }): Job => ({
    ...body,
    position: null,
    workers_available: takers(workers, body.kind),
    result: null,
    note: null,
  }));
  return page(jobs, query.limit);
}

/** A new job in place of one that failed or was cancelled. */
export async function retryJob(ctx: Context, id: string): Promise<Job> {
  const retryId = await resourceId(ctx, "job", `POST /v1/jobs/${id}/retry`);
  return withResult(ctx, unwrap(await ctx.pool.retryJob(ctx.project.id, id, retryId)));
}

export const cancelJob = async (ctx: Context, id: string): Promise<Job> =>
  withResult(ctx, unwrap(await ctx.pool.cancelJob(ctx.project.id, id)));
