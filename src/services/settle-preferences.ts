// What the pool says of a preference evaluation, written to D1: judged pairs, then figures and comparisons.
import { BOARD_MODELS } from "../config.ts";
import type { Env } from "../env.ts";
import type { Database } from "../store/database.ts";
import type { OutboxEntry } from "../store/outbox.ts";
import {
  findPreferenceEvaluation,
  isBuriedPreference,
  preferenceRivals,
  putPreferenceEvaluation,
} from "../store/preference-evaluations.ts";
import { countPreferenceRecords, insertPreferenceRecords, marginsOf } from "../store/preference-records.ts";
import type { PreferenceEvaluation } from "../wire/preference-evaluations.ts";
import { seedsOf } from "./batches.ts";
import { compareRest, comparisonOf, resamplesFor, rivalsAtOnce } from "./compare-board.ts";
import { judgePair, pairValues, summarizePairs } from "./judge-pairs.ts";
import { rowsOf } from "./settled-rows.ts";

type Entry<K extends OutboxEntry["kind"]> = Extract<OutboxEntry, { kind: K }>;

export async function settlePairs(env: Env, db: Database, entry: Entry<"pairs">): Promise<void> {
  if (await isBuriedPreference(db, entry.evaluation)) return;
  const stored = await findPreferenceEvaluation(db, entry.project, entry.evaluation);
  if (stored === null) throw new Error(`preference evaluation ${entry.evaluation} is not in D1 yet`);
  const seeds = seedsOf(stored.body.generation);
  const rowOf = await rowsOf(env, db, entry.project, stored.body);
  const records = entry.items.map((pair) => {
    const { row, place } = rowOf(pair.item);
    return judgePair(stored.body, row, pair, place * seeds.length + seeds.indexOf(pair.seed));
  });
  const [first, ...rest] = insertPreferenceRecords(db, records);
  if (first !== undefined) await db.batch([first, ...rest]);
}

/** Completed only once every record is there: an entry that comes before its last pairs waits for them. */
async function withFigures(
  db: Database,
  project: string,
  evaluation: PreferenceEvaluation,
): Promise<PreferenceEvaluation> {
  const { metrics = null } = (await findPreferenceEvaluation(db, project, evaluation.id)) ?? {};
  if (metrics !== null) return { ...evaluation, metrics };
  const expected = evaluation.n * seedsOf(evaluation.generation).length;
  const there = await countPreferenceRecords(db, evaluation.id);
  if (there < expected) throw new Error(`evaluation ${evaluation.id} has ${there} of ${expected} records`);
  const margins = await marginsOf(db, evaluation.id);
  return {
    ...evaluation,
    metrics: summarizePairs(evaluation.kind, margins, { resamples: resamplesFor(margins.length) }),
  };
}

export async function settlePreferenceEvaluation(
  db: Database,
  project: string,
  rev: number,
  evaluation: PreferenceEvaluation,
): Promise<void> {
  if (await isBuriedPreference(db, evaluation.id)) return;
  const completed = evaluation.status === "completed";
  const figured = completed ? await withFigures(db, project, evaluation) : evaluation;
  await putPreferenceEvaluation(db, { project, rev, evaluation: figured });
  if (completed) await compareAll(db, project, evaluation);
}

/** With the newest of every other student and teacher on the board, a share at a time: the entry comes again for the rest. */
async function compareAll(db: Database, project: string, { id, kind }: PreferenceEvaluation): Promise<void> {
  const row = await findPreferenceEvaluation(db, project, id);
  if (row === null) return;
  const others = await preferenceRivals(db, row, BOARD_MODELS);
  const left = await compareRest(db, id, others, {
    read: (evaluation) => marginsOf(db, evaluation),
    atOnce: (margins) => rivalsAtOnce(margins.length, 1),
    compare: (mine, theirs) => [comparisonOf(kind, pairValues(kind, mine), pairValues(kind, theirs), mine.length)],
  });
  if (left > 0) throw new Error(`evaluation ${id}: comparisons with ${left} others are left`);
}
