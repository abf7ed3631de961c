// Evaluations as they are read, listed, cancelled and deleted.
import { SETTLE_POLL_MS } from "../config.ts";
import { ApiError } from "../errors.ts";
import { findEvaluation, listEvaluations, olderEvaluation } from "../store/evaluations.ts";
import type { EvaluationRow } from "../store/evaluations.ts";
import { buryEvaluation } from "../store/projections.ts";
import type { Status } from "../wire/common.ts";
import type { Evaluation } from "../wire/evaluations.ts";
import type { Context } from "./context.ts";
import { page } from "./list.ts";
import type { Page } from "./list.ts";
import { unwrap } from "./wait.ts";

/** Whether nothing will change any more. */
export const ended = ({ status }: { status: Status }): boolean => status !== "queued" && status !== "running";

/** Waits for an evaluation's last response, then for the figures, which follow it at once. */
export async function untilEnded<E extends { status: Status; job: string | null }>(
  ctx: Context,
  read: () => Promise<E>,
  seconds: number,
): Promise<E> {
  const deadline = Date.now() + seconds * 1000;
  let evaluation = await read();
  if (!ended(evaluation) && seconds > 0 && evaluation.job !== null) {
    await ctx.pool.waitJob(ctx.project.id, evaluation.job, seconds * 1000);
    evaluation = await read();
  }
  while (!ended(evaluation) && Date.now() < deadline) {
    await scheduler.wait(SETTLE_POLL_MS);
    evaluation = await read();
  }
  return evaluation;
}

export const present = (row: EvaluationRow): Evaluation => ({ ...row.body, metrics: row.metrics });

/** From its authority: D1 for one graded here, the pool for one that generates, with its figures once they are settled.
 * `param`: the request's field that names it, where that is not the path. */
export async function getEvaluation(ctx: Context, id: string, param?: string): Promise<Evaluation> {
  const row = await findEvaluation(ctx.db, ctx.project.id, id);
  if (row !== null && row.status === "completed") return present(row);
  const evaluation = await ctx.pool.getEvaluation(ctx.project.id, id);
  if (evaluation?.object !== "evaluation") {
    const message = `The project has no evaluation ${id}; see GET /v1/evaluations.`;
    throw new ApiError("not_found", message, param === undefined ? {} : { param });
  }
  return untilGraded(evaluation);
}

/** The last response is in, the grades are not: it is not completed for anybody who would read them. */
export const untilGraded = <E extends { status: Status }>(evaluation: E): E =>
  evaluation.status === "completed" ? { ...evaluation, status: "running" } : evaluation;

export async function evaluationPage(
  ctx: Context,
  query: { after?: string | undefined; limit: number },
): Promise<Page<Evaluation>> {
  const older = await olderEvaluation(ctx.db, ctx.project.id, query.after);
  const rows = await listEvaluations(ctx.db, ctx.project.id, older, query.limit + 1);
  return page(rows.map(present), query.limit);
}

/** One that has ended stays as it is. */
export async function cancelEvaluation(ctx: Context, id: string): Promise<Evaluation> {
  const evaluation = await getEvaluation(ctx, id);
  if (ended(evaluation)) return evaluation;
  unwrap(await ctx.pool.cancelEvaluation(ctx.project.id, id));
  return getEvaluation(ctx, id);
}

export async function deleteEvaluation(ctx: Context, id: string): Promise<void> {
  const evaluation = await getEvaluation(ctx, id);
  if (evaluation.job !== null) unwrap(await ctx.pool.deleteEvaluation(ctx.project.id, id));
  await buryEvaluation(ctx.db, id);
}
