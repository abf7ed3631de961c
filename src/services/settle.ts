// What the pool decided, written to D1; what follows a settled job: grading, records, figures, comparisons; what follows
// a checkpoint: its run's evaluation of it.
// Every entry may come twice and in any order: applying it again changes nothing.
import type { Env } from "../env.ts";
import { grade } from "../evaluation/grade.ts";
import { GRADER_VERSIONS } from "../evaluation/graders.ts";
import { compilePattern } from "../evaluation/regex-match.ts";
import { summarize } from "../evaluation/summary.ts";
import { database } from "../store/database.ts";
import type { Database } from "../store/database.ts";
import { boardKey, findEvaluation, putEvaluation } from "../store/evaluations.ts";
import type { OutboxEntry, Settle } from "../store/outbox.ts";
import {
  applyCheckpoint,
  applyExport,
  applyJob,
  applyModel,
  applyRun,
  applyStep,
  applyUsage,
  buryEvaluation,
  buryRun,
  isBuriedEvaluation,
  isBuriedRun,
} from "../store/projections.ts";
import { buryPreferenceEvaluation } from "../store/preference-evaluations.ts";
import { countRecords, gradesOf, insertRecords } from "../store/records.ts";
import type { RecordRow } from "../store/records.ts";
import type { Evaluation } from "../wire/evaluations.ts";
import { compareWithBoard, resamplesFor } from "./compare-board.ts";
import { checkpointPlace } from "./models.ts";
import { keepScores } from "./keep-scores.ts";
import { evaluateCheckpoint, recordOutcome } from "./run-evaluations.ts";
import { settlePairs, settlePreferenceEvaluation } from "./settle-preferences.ts";
import { rowsOf } from "./settled-rows.ts";

type Entry<K extends OutboxEntry["kind"]> = Extract<OutboxEntry, { kind: K }>;

async function settleItems(env: Env, db: Database, entry: Entry<"items">): Promise<void> {
  if (await isBuriedEvaluation(db, entry.evaluation)) return;
  const stored = await findEvaluation(db, entry.project, entry.evaluation);
  if (stored === null) throw new Error(`evaluation ${entry.evaluation} is not in D1 yet`);
  const seeds = stored.body.generation?.seeds ?? [];
  const pattern = stored.body.pattern === null ? null : compilePattern(stored.body.pattern);
  const rowOf = await rowsOf(env, db, entry.project, stored.body);
  const records = entry.items.map((item): RecordRow => {
    const { row, place } = rowOf(item.item);
    return {
      evaluation: entry.evaluation,
      item: item.item,
      seed: item.seed,
      position: place * seeds.length + seeds.indexOf(item.seed),
      prompt: row.prompt,
      references: row.references,
      response: item.response,
      finishReason: item.finish_reason,
      numTokens: item.num_tokens,
      metrics: grade(item.response, row.references, pattern),
    };
  });
  const [first, ...rest] = insertRecords(db, records);
  if (first !== undefined) await db.batch([first, ...rest]);
}

/** Completed only once every record is there: an entry that comes before its last items waits for them. One that comes
 * again, as for the rest of its comparisons, has its figures already. */
async function withFigures(db: Database, project: string, evaluation: Evaluation): Promise<Evaluation> {
  const { metrics = null } = (await findEvaluation(db, project, evaluation.id)) ?? {};
  if (metrics !== null) return { ...evaluation, metrics };
  const expected = evaluation.n * (evaluation.generation?.seeds.length ?? 1);
  const there = await countRecords(db, evaluation.id);
  if (there < expected) throw new Error(`evaluation ${evaluation.id} has ${there} of ${expected} records`);
  const grades = await gradesOf(db, evaluation.id);
  return { ...evaluation, metrics: summarize(grades, { resamples: resamplesFor(grades.length) }) };
}

async function settleCheckpoint(env: Env, db: Database, entry: Entry<"checkpoint">): Promise<void> {
  if (await isBuriedRun(db, entry.checkpoint.run)) return;
  await applyCheckpoint(db, entry);
  await evaluateCheckpoint(env, entry.project, entry.checkpoint);
}

async function settleEvaluation(
  env: Env,
  db: Database,
  project: string,
  rev: number,
  evaluation: Evaluation,
): Promise<void> {
  if (await isBuriedEvaluation(db, evaluation.id)) return;
  const board = boardKey(evaluation, GRADER_VERSIONS);
  const completed = evaluation.status === "completed";
  const figured = completed ? await withFigures(db, project, evaluation) : evaluation;
  await putEvaluation(db, { project, rev, board, evaluation: figured });
  if (!completed) return;
  await recordOutcome(env, project, figured);
  await compareAll(db, project, evaluation.id);
}

/** A share of the comparisons at a time: with some left over the entry is tried again, and goes on where this stopped. */
async function compareAll(db: Database, project: string, id: string): Promise<void> {
  const evaluation = await findEvaluation(db, project, id);
  const left = evaluation === null ? 0 : await compareWithBoard(db, evaluation);
  if (left > 0) throw new Error(`evaluation ${id}: comparisons with ${left} others are left`);
}

const settleEither = (env: Env, db: Database, { project, rev, evaluation }: Entry<"evaluation">): Promise<void> =>
  evaluation.object === "evaluation"
    ? settleEvaluation(env, db, project, rev, evaluation)
    : settlePreferenceEvaluation(db, project, rev, evaluation);

const BURY = { run: buryRun, evaluation: buryEvaluation, preference_evaluation: buryPreferenceEvaluation };

/** Applies one entry of the pool's outbox; throws to be called again later. */
export const settle: Settle<Env> = async (env, entry) => {
  const db = database(env.DB);
  switch (entry.kind) {
    case "job":
      await applyJob(db, entry);
      break;
    case "run":
      await applyRun(db, entry);
      break;
    case "step":
      if (!(await isBuriedRun(db, entry.step.run))) await applyStep(db, entry);
      break;
    case "checkpoint":
      await settleCheckpoint(env, db, entry);
      break;
    case "export":
      if (!(await isBuriedRun(db, checkpointPlace(entry.checkpoint)?.run ?? ""))) await applyExport(db, entry);
      break;
    case "model":
      await applyModel(db, entry);
      break;
    case "scored":
      await keepScores(env, entry.project, entry.job);
      break;
    case "usage":
      await applyUsage(db, entry);
      break;
    case "items":
      await settleItems(env, db, entry);
      break;
    case "pairs":
      await settlePairs(env, db, entry);
      break;
    case "evaluation":
      await settleEither(env, db, entry);
      break;
    case "comparisons":
      await compareAll(db, entry.project, entry.evaluation);
      break;
    case "deleted":
      await BURY[entry.resource](db, entry.id);
  }
};
