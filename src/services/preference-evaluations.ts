// Preference evaluations as they are read, listed, cancelled and deleted.
import { ApiError } from "../errors.ts";
import {
  buryPreferenceEvaluation,
  findPreferenceEvaluation,
  listPreferenceEvaluations,
  olderPreferenceEvaluation,
} from "../store/preference-evaluations.ts";
import type { PreferenceRow } from "../store/preference-evaluations.ts";
import type { PreferenceEvaluation } from "../wire/preference-evaluations.ts";
import type { Context } from "./context.ts";
import { ended, untilGraded } from "./evaluations.ts";
import { page } from "./list.ts";
import type { Page } from "./list.ts";
import { unwrap } from "./wait.ts";

const present = (row: PreferenceRow): PreferenceEvaluation => ({ ...row.body, metrics: row.metrics });

/** From its authority, the pool; with its figures, from D1, once they are settled. */
export async function getPreferenceEvaluation(ctx: Context, id: string): Promise<PreferenceEvaluation> {
  const row = await findPreferenceEvaluation(ctx.db, ctx.project.id, id);
  if (row?.status === "completed") return present(row);
  const evaluation = await ctx.pool.getEvaluation(ctx.project.id, id);
  if (evaluation?.object === "preference_evaluation") return untilGraded(evaluation);
  const message = `The project has no preference evaluation ${id}; see GET /v1/preference-evaluations.`;
  throw new ApiError("not_found", message);
}

export async function preferenceEvaluationPage(
  ctx: Context,
  { after, limit }: { after?: string | undefined; limit: number },
): Promise<Page<PreferenceEvaluation>> {
  const older = await olderPreferenceEvaluation(ctx.db, ctx.project.id, after);
  const rows = await listPreferenceEvaluations(ctx.db, ctx.project.id, older, limit + 1);
  return page(rows.map(present), limit);
}

/** One that has ended stays as it is. */
export async function cancelPreferenceEvaluation(ctx: Context, id: string): Promise<PreferenceEvaluation> {
  const evaluation = await getPreferenceEvaluation(ctx, id);
  if (ended(evaluation)) return evaluation;
  unwrap(await ctx.pool.cancelEvaluation(ctx.project.id, id));
  return getPreferenceEvaluation(ctx, id);
}

export async function deletePreferenceEvaluation(ctx: Context, id: string): Promise<void> {
  await getPreferenceEvaluation(ctx, id);
  unwrap(await ctx.pool.deleteEvaluation(ctx.project.id, id));
  await buryPreferenceEvaluation(ctx.db, id);
}
