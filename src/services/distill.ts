// Distillation runs as a resource: create, read, cancel, delete, take steps.
import { ApiError } from "../errors.ts";
import type { JobState } from "../pool/api.ts";
import { buryRun } from "../store/projections.ts";
import { listRuns, listSteps, olderRun, runUser } from "../store/runs.ts";
import type { CreateRun, Run, Step, TakeSteps } from "../wire/runs.ts";
import type { Context } from "./context.ts";
import { digest, resourceId } from "./identity.ts";
import { page } from "./list.ts";
import { forgetModels } from "./models.ts";
import type { Page } from "./list.ts";
import { prepareRun } from "./run-spec.ts";
import { settled } from "./submit.ts";
import { unwrap } from "./wait.ts";

interface Query {
  after?: string | undefined;
  limit: number;
}

const invalid = (param: string, message: string): ApiError =>
  new ApiError("invalid_request", `${param}: ${message}`, { param });

export async function createRun(ctx: Context, body: CreateRun): Promise<Run> {
  const id = await resourceId(ctx, "run", "POST /v1/runs");
  const prepared = await prepareRun(ctx, id, body);
  return unwrap(await ctx.pool.submitRun({ id, project: ctx.project.id, digest: await digest(body), ...prepared }))
    .resource;
}

/** The run, from its authority. */
export async function requireRun(ctx: Context, id: string): Promise<Run> {
  const run = await ctx.pool.getRun(ctx.project.id, id);
  if (run === null) throw new ApiError("not_found", `The project has no run ${id}; see GET /v1/runs.`);
  return run;
}

export async function runPage(ctx: Context, query: Query): Promise<Page<Run>> {
  const older = await olderRun(ctx.db, ctx.project.id, query.after);
  return page(await listRuns(ctx.db, ctx.project.id, older, query.limit + 1), query.limit);
}

export async function cancelRun(ctx: Context, id: string): Promise<Run> {
  return unwrap(await ctx.pool.cancelRun(ctx.project.id, id));
}

export async function deleteRun(ctx: Context, id: string): Promise<void> {
  await requireRun(ctx, id);
  const user = await runUser(ctx.db, ctx.project.id, id);
  if (user !== null) throw new ApiError("in_use", `A checkpoint of run ${id} is used by ${user}; delete that first.`);
  unwrap(await ctx.pool.deleteRun(ctx.project.id, id));
  // The outbox says so too; this only keeps the lists from showing it for another moment.
  await buryRun(ctx.db, id);
  forgetModels(ctx.project.id);
}

/** `{to}` is idempotent by itself; `{count}` adds to whatever the target is, so a blind retry would train further. */
export async function takeSteps(ctx: Context, run: string, ask: TakeSteps, wait: number): Promise<JobState> {
  if ("count" in ask && ctx.idempotencyKey === null) {
    throw new ApiError("idempotency_key_required", "count: send an Idempotency-Key with it, or ask for {to} instead.", {
      param: "Idempotency-Key",
    });
  }
  const { optimizer } = await requireRun(ctx, run);
  if ("to" in ask && ask.to > optimizer.total_steps) {
    throw invalid(
      "to",
      `the run has ${optimizer.total_steps} steps in all; ask for ${optimizer.total_steps} at the most.`,
    );
  }
  const job = await resourceId(ctx, "job", `POST /v1/runs/${run}/steps`);
  const request = { job, project: ctx.project.id, run, digest: await digest(ask), ask };
  return settled(ctx, unwrap(await ctx.pool.takeSteps(request)).resource, wait);
}

export async function stepPage(ctx: Context, run: string, query: Query): Promise<Page<Step>> {
  await requireRun(ctx, run);
  return page(await listSteps(ctx.db, run, query.after, query.limit + 1), query.limit);
}
