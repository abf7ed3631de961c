// Checkpoints of a run, and their files, streamed from the parts in R2.
import { ApiError } from "../errors.ts";
import type { JobState, StoredCheckpoint } from "../pool/api.ts";
import { listCheckpoints } from "../store/runs.ts";
import type { Checkpoint } from "../wire/runs.ts";
import type { Context } from "./context.ts";
import { requireRun } from "./distill.ts";
import { download } from "./download.ts";
import type { Download } from "./download.ts";
import { digest, resourceId } from "./identity.ts";
import { page } from "./list.ts";
import type { Page } from "./list.ts";
import { settled } from "./submit.ts";
import { unwrap } from "./wait.ts";

async function findStored(ctx: Context, run: string, step: string): Promise<StoredCheckpoint> {
  const stored = await ctx.pool.getCheckpoint(ctx.project.id, run, step);
  if (stored !== null) return stored;
  const list = `/v1/runs/${run}/checkpoints`;
  const what = step === "best" ? "best checkpoint yet" : `checkpoint at step ${step}`;
  throw new ApiError("not_found", `Run ${run} has no ${what}; GET ${list} lists those there are.`);
}

/** `step` may be a number, `step.lineage`, or `best`. */
export const getCheckpoint = async (ctx: Context, run: string, step: string): Promise<Checkpoint> =>
  (await findStored(ctx, run, step)).checkpoint;

/** Newest first. */
export async function checkpointPage(
  ctx: Context,
  run: string,
  query: { after?: string | undefined; limit: number },
): Promise<Page<Checkpoint>> {
  await requireRun(ctx, run);
  const rows = await listCheckpoints(ctx.db, ctx.project.id, run, { after: query.after, limit: query.limit + 1 });
  return page(rows, query.limit);
}

/** Asks for a checkpoint of the weights as they are now. */
export async function createCheckpoint(ctx: Context, run: string, wait: number): Promise<JobState> {
  await requireRun(ctx, run);
  const job = await resourceId(ctx, "job", `POST /v1/runs/${run}/checkpoints`);
  const ask = { checkpoint: true } as const;
  const request = { job, project: ctx.project.id, run, digest: await digest(ask), ask };
  return settled(ctx, unwrap(await ctx.pool.takeSteps(request)).resource, wait);
}

export async function checkpointFile(ctx: Context, run: string, step: string, name: string): Promise<Download> {
  const { state } = await findStored(ctx, run, step);
  return download(ctx, state.files, name, `Checkpoint ${run}@${step}`);
}
