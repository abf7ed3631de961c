// Evaluations and the comparisons between them. A board is all that makes two of them comparable.
import { and, desc, eq, max, ne, or, sql } from "drizzle-orm";
import type { SQL } from "drizzle-orm";
import type { Evaluation } from "../wire/evaluations.ts";
import type { Template } from "../wire/common.ts";
import type { Database } from "./database.ts";
import { chunks } from "./database.ts";
import { newestFirst, olderThan } from "./page.ts";
import { comparisons, evaluations } from "./schema.ts";

export type EvaluationRow = typeof evaluations.$inferSelect;
export type ComparisonRow = typeof comparisons.$inferSelect;

export interface Board {
  dataset: string;
  split: string;
  /** Null: of given responses, whose template is not known here. */
  template: Template | null;
  /** Null: the whole split. */
  limit: number | null;
  /** Null: regex_match is skipped. */
  pattern: string | null;
}

/** The graders, with their versions, are part of it: a change of any of them begins other boards. */
export const boardKey = (board: Board, graders: string): string =>
  JSON.stringify([board.dataset, board.split, board.template, board.limit, board.pattern, graders]);

export async function findEvaluation(db: Database, project: string, id: string): Promise<EvaluationRow | null> {
  const rows = await db
    .select()
    .from(evaluations)
    .where(and(eq(evaluations.id, id), eq(evaluations.project, project)))
    .limit(1);
  return rows[0] ?? null;
}

export async function findIdentical(db: Database, project: string, identity: string): Promise<EvaluationRow | null> {
  const rows = await db
    .select()
    .from(evaluations)
    .where(and(eq(evaluations.project, project), eq(evaluations.identity, identity)))
    .limit(1);
  return rows[0] ?? null;
}

export const listEvaluations = (
  db: Database,
  project: string,
  older: SQL | undefined,
  limit: number,
): Promise<EvaluationRow[]> =>
  db
    .select()
    .from(evaluations)
    .where(and(eq(evaluations.project, project), older))
    .orderBy(...newestFirst(evaluations))
    .limit(limit);

export const olderEvaluation = (db: Database, project: string, after: string | undefined) =>
  olderThan(db, evaluations, project, after);

/** What the pool says of an evaluation, or its end with all its figures. */
export function putEvaluation(
  db: Database,
  row: { project: string; rev: number; board: string; evaluation: Evaluation },
) {
  const { project, rev, board, evaluation } = row;
  const values = { rev, status: evaluation.status, metrics: evaluation.metrics, body: evaluation };
  const { id, model, dataset } = evaluation;
  return db
    .insert(evaluations)
    .values({ id, project, model, dataset, board, createdAt: Date.parse(evaluation.created_at), ...values })
    .onConflictDoUpdate({ target: evaluations.id, set: values, setWhere: sql`${evaluations.rev} < ${rev}` });
}

/** An evaluation graded at the edge, whose authority is D1: fails where the id is taken. */
export function putGiven(
  db: Database,
  row: { project: string; board: string; evaluation: Evaluation; identity: string | null; requestDigest: string },
) {
  const { project, board, evaluation, identity, requestDigest } = row;
  const { id, model, dataset, status, metrics } = evaluation;
  const createdAt = Date.parse(evaluation.created_at);
  const values = { id, project, rev: 1, status, model, dataset, board, identity, metrics, requestDigest, createdAt };
  return db.insert(evaluations).values({ ...values, body: evaluation });
}

/** The newest completed evaluation of each model on a board, the newest models first. */
export async function newestOfBoard(
  db: Database,
  project: string,
  board: string,
  limit: number,
): Promise<EvaluationRow[]> {
  const newest = max(evaluations.createdAt);
  // In SQLite the other columns of a grouped query with max() are those of the row that has the maximum.
  const rows = await db
    .select({ row: evaluations, newest })
    .from(evaluations)
    .where(and(eq(evaluations.project, project), eq(evaluations.board, board), eq(evaluations.status, "completed")))
    .groupBy(evaluations.model)
    .orderBy(desc(newest), desc(evaluations.id))
    .limit(limit);
  return rows.map(({ row }) => row);
}

/** The others of an evaluation's board that may ever stand beside it: of other models. */
export const rivals = async (
  db: Database,
  row: { id: string; project: string; board: string; model: string },
  limit: number,
) =>
  (await newestOfBoard(db, row.project, row.board, limit)).filter(
    (other) => other.id !== row.id && other.model !== row.model,
  );

/** Evaluations that `id` has been compared with. */
export async function comparedWith(db: Database, id: string): Promise<Set<string>> {
  const rows = await db
    .select({ a: comparisons.a, b: comparisons.b })
    .from(comparisons)
    .where(or(eq(comparisons.a, id), eq(comparisons.b, id)));
  return new Set(rows.flatMap(({ a, b }) => [a, b]).filter((other) => other !== id));
}

/** Immutable, since evaluations are: a pair already there stays. */
export async function putComparisons(db: Database, rows: readonly (typeof comparisons.$inferInsert)[]): Promise<void> {
  const columns = 6;
  const [first, ...rest] = chunks(rows, columns).map((some) =>
    db.insert(comparisons).values(some).onConflictDoNothing(),
  );
  if (first !== undefined) await db.batch([first, ...rest]);
}

/** All comparisons on one metric among the evaluations named. */
export const comparisonsAmong = (db: Database, metric: string, ids: readonly string[]): Promise<ComparisonRow[]> => {
  // One parameter, however many they are: D1 binds 100 at the most.
  const named = sql`(select value from json_each(${JSON.stringify(ids)}))`;
  return db
    .select()
    .from(comparisons)
    .where(
      and(
        eq(comparisons.metric, metric),
        ne(comparisons.a, comparisons.b),
        sql`${comparisons.a} in ${named}`,
        sql`${comparisons.b} in ${named}`,
      ),
    );
};
