// The evaluations that a run asks for of its own checkpoints, and what they say about which is best.
import type { Env } from "../env.ts";
import { ApiError } from "../errors.ts";
import { findDatasetRow } from "../store/datasets.ts";
import type { Evaluation } from "../wire/evaluations.ts";
import type { Checkpoint, Run } from "../wire/runs.ts";
import { settlingContext } from "./context.ts";
import type { Context } from "./context.ts";
import { effectiveLimit } from "./batches.ts";
import { submitEvaluation } from "./evaluate.ts";
import { digest } from "./identity.ts";
import { checkpointPlace } from "./models.ts";

/** The route of their ids, which no client's Idempotency-Key can meet. */
const ROUTE = "evaluation of a run's checkpoint";

/** What the run asks of its checkpoint of this step; null where that is not evaluated. */
function askedOf({ evaluation, optimizer }: Run, step: number): Run["evaluation"] {
  const due = evaluation !== null && (step % evaluation.every === 0 || step === optimizer.total_steps);
  return due ? evaluation : null;
}

/** Asks for the evaluation of a checkpoint that has just been kept, if its run wants one. Asking again changes nothing.
 * One that is refused, as where the model has been deleted since, is missing; the run goes on. */
export async function evaluateCheckpoint(env: Env, project: string, checkpoint: Checkpoint): Promise<void> {
  const ctx = await settlingContext(env, project, checkpoint.id);
  if (ctx === null) return;
  const run = await ctx.pool.getRun(project, checkpoint.run);
  const asked = run === null ? null : askedOf(run, checkpoint.step);
  if (run === null || asked === null) return;
  const { dataset, split, limit, generation, pattern } = asked;
  const what = { dataset, split, template: run.template, generation, limit, pattern };
  try {
    await submitEvaluation(ctx, { ...what, model: checkpoint.id, repeat: false }, ROUTE);
  } catch (error) {
    // A full queue, say, has room later: thrown, this is tried again.
    if (!(error instanceof ApiError) || error.retryable) throw error;
    console.error(JSON.stringify({ event: "run_evaluation_refused", checkpoint: checkpoint.id, code: error.code }));
  }
}

/** Whether it is what the run asks, whoever started it: the same question has one answer. */
async function isOfRun(
  ctx: Context,
  asked: NonNullable<Run["evaluation"]>,
  template: Run["template"],
  evaluation: Evaluation,
): Promise<boolean> {
  if (asked.split !== evaluation.split || template !== evaluation.template) return false;
  const dataset = await findDatasetRow(ctx.db, ctx.project.id, asked.dataset);
  const split = dataset?.splits.find((candidate) => candidate.split === asked.split);
  if (dataset?.id !== evaluation.dataset || split === undefined) return false;
  const same = (await digest(asked.generation)) === (await digest(evaluation.generation));
  return same && asked.pattern === evaluation.pattern && effectiveLimit(asked.limit, split.rows) === evaluation.limit;
}

/** Tells the run of a graded evaluation of one of its checkpoints. */
export async function recordOutcome(env: Env, project: string, evaluation: Evaluation): Promise<void> {
  const place = checkpointPlace(evaluation.model);
  const ctx = place === null ? null : await settlingContext(env, project);
  if (place === null || ctx === null) return;
  const { run: id, step, lineage } = place;
  const run = await ctx.pool.getRun(project, id);
  const asked = run === null ? null : askedOf(run, step);
  if (run === null || asked === null || !(await isOfRun(ctx, asked, run.template, evaluation))) return;
  const value = evaluation.metrics?.[asked.metric]?.mean ?? null;
  if (value !== null) await ctx.pool.recordBest(project, id, { step, lineage, value, evaluation: evaluation.id });
}

/** Whether the model is the checkpoint that its run chose by this split. */
export const wasChosenOn = (
  runs: ReadonlyMap<string, Run>,
  model: string,
  { dataset, split }: { dataset: { id: string; name: string }; split: string },
): boolean => {
  const place = checkpointPlace(model);
  const { best = null, evaluation = null } = runs.get(place?.run ?? "") ?? {};
  if (place === null || evaluation === null) return false;
  const isBest = best?.step === place.step && best.lineage === place.lineage;
  return isBest && evaluation.split === split && [dataset.id, dataset.name].includes(evaluation.dataset);
};
