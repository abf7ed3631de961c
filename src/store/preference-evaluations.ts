// Preference evaluations. A board is all that makes two of them comparable.
import { and, desc, eq, max, or, sql } from "drizzle-orm";
import type { SQL } from "drizzle-orm";
import type { PreferenceEvaluation, PreferenceKind } from "../wire/preference-evaluations.ts";
import type { Template } from "../wire/common.ts";
import type { Generation } from "../wire/generation.ts";
import type { Database } from "./database.ts";
import { newestFirst, olderThan } from "./page.ts";
import { comparisons, preferenceEvaluations, preferenceRecords } from "./schema.ts";

export type PreferenceRow = typeof preferenceEvaluations.$inferSelect;

export interface PreferenceBoard {
  kind: PreferenceKind;
  dataset: string;
  split: string;
  template: Template;
  /** Null: the whole split. */
  limit: number | null;
  length_normalize: boolean;
  /** These three are null under accuracy: a sign does not depend on beta, and each entry has a teacher of its own. */
  teacher: string | null;
  beta: number | null;
  generation: Generation | null;
}

/** The board that an evaluation stands on. */
export const boardOf = (evaluation: PreferenceEvaluation): PreferenceBoard => {
  const { kind, dataset, split, template, limit, length_normalize, teacher, beta, generation } = evaluation;
  const shared = { kind, dataset, split, template, limit, length_normalize };
  return kind === "accuracy"
    ? { ...shared, teacher: null, beta: null, generation: null }
    : { ...shared, teacher, beta, generation };
};

/** Fields by position, so that the order in which an object has them does not matter. */
export const preferenceBoardKey = (board: PreferenceBoard): string => {
  const { kind, dataset, split, template, limit, length_normalize, teacher, beta, generation } = board;
  const how =
    generation === null
      ? null
      : [
          generation.max_new_tokens,
          generation.temperature,
          generation.top_p,
          generation.top_k,
          generation.stop,
          generation.seeds,
        ];
  return JSON.stringify([kind, dataset, split, template, limit, length_normalize, teacher, beta, how]);
};

export async function findPreferenceEvaluation(
  db: Database,
  project: string,
  id: string,
): Promise<PreferenceRow | null> {
  const rows = await db
    .select()
    .from(preferenceEvaluations)
    .where(and(eq(preferenceEvaluations.id, id), eq(preferenceEvaluations.project, project)))
    .limit(1);
  return rows[0] ?? null;
}

export const listPreferenceEvaluations = (
  db: Database,
  project: string,
  older: SQL | undefined,
  limit: number,
): Promise<PreferenceRow[]> =>
  db
    .select()
    .from(preferenceEvaluations)
    .where(and(eq(preferenceEvaluations.project, project), older))
    .orderBy(...newestFirst(preferenceEvaluations))
    .limit(limit);

export const olderPreferenceEvaluation = (db: Database, project: string, after: string | undefined) =>
  olderThan(db, preferenceEvaluations, project, after);

/** What the pool says of it, or its end with its figures. */
export function putPreferenceEvaluation(
  db: Database,
  row: { project: string; rev: number; evaluation: PreferenceEvaluation },
) {
  const { project, rev, evaluation } = row;
  const values = { rev, status: evaluation.status, metrics: evaluation.metrics, body: evaluation };
  const { id, student, teacher, dataset } = evaluation;
  const board = preferenceBoardKey(boardOf(evaluation));
  const createdAt = Date.parse(evaluation.created_at);
  return db
    .insert(preferenceEvaluations)
    .values({ id, project, student, teacher, dataset, board, createdAt, ...values })
    .onConflictDoUpdate({
      target: preferenceEvaluations.id,
      set: values,
      setWhere: sql`${preferenceEvaluations.rev} < ${rev}`,
    });
}

/** The newest completed evaluation of each student and teacher on a board, the newest first. */
export async function newestPreferences(
  db: Database,
  project: string,
  board: string,
  limit: number,
): Promise<PreferenceRow[]> {
  const { student, teacher, status, createdAt, id } = preferenceEvaluations;
  const newest = max(createdAt);
  // In SQLite the other columns of a grouped query with max() are those of the row that has the maximum.
  const rows = await db
    .select({ row: preferenceEvaluations, newest })
    .from(preferenceEvaluations)
    .where(
      and(eq(preferenceEvaluations.project, project), eq(preferenceEvaluations.board, board), eq(status, "completed")),
    )
    .groupBy(student, teacher)
    .orderBy(desc(newest), desc(id))
    .limit(limit);
  return rows.map(({ row }) => row);
}

/** The others of its board that may ever stand beside it: of another student or another teacher. */
export const preferenceRivals = async (db: Database, row: PreferenceRow, limit: number): Promise<PreferenceRow[]> =>
  (await newestPreferences(db, row.project, row.board, limit)).filter(
    (other) => other.id !== row.id && (other.student !== row.student || other.teacher !== row.teacher),
  );

/** A tombstone belongs to no project and is newer than any revision: what comes late does not bring the thing back. */
const TOMBSTONE = {
  project: "",
  rev: Number.MAX_SAFE_INTEGER,
  status: "deleted",
  student: "",
  teacher: "",
  dataset: "",
  board: "",
  metrics: null,
  body: sql`'null'`,
  createdAt: 0,
};

export async function buryPreferenceEvaluation(db: Database, id: string): Promise<void> {
  await db.batch([
    db
      .insert(preferenceEvaluations)
      .values({ id, ...TOMBSTONE })
      .onConflictDoUpdate({ target: preferenceEvaluations.id, set: TOMBSTONE }),
    db.delete(preferenceRecords).where(eq(preferenceRecords.evaluation, id)),
    db.delete(comparisons).where(or(eq(comparisons.a, id), eq(comparisons.b, id))),
  ]);
}

/** Whether it was deleted: what comes late of it is dropped. */
export async function isBuriedPreference(db: Database, id: string): Promise<boolean> {
  const found = await db
    .select({ status: preferenceEvaluations.status })
    .from(preferenceEvaluations)
    .where(eq(preferenceEvaluations.id, id))
    .limit(1);
  return found[0]?.status === TOMBSTONE.status;
}
