// Boards: what the completed evaluations of a project stand on, of either kind.
import { and, countDistinct, desc, eq, max, sql } from "drizzle-orm";
import type { SQL } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { AnyEvaluation } from "../wire/preference-evaluations.ts";
import type { Database } from "./database.ts";
import { findEvaluation } from "./evaluations.ts";
import { unknownCursor } from "./page.ts";
import { findPreferenceEvaluation } from "./preference-evaluations.ts";
import { datasets, evaluations, preferenceEvaluations } from "./schema.ts";

/** A place in the list: newest first, equals by id. */
interface Place {
  createdAt: number;
  id: string;
}

export interface BoardRow extends Place {
  /** The newest evaluation, which says what the board is. */
  body: AnyEvaluation;
  datasetName: string;
  models: number;
}

interface Asked {
  project: string;
  /** Boards come after this one. */
  cursor: Place | null;
  limit: number;
}

const createdAtOf = (table: { createdAt: SQLiteColumn }) => sql<number>`${max(table.createdAt)}`;

const isOlder = (createdAt: SQL, id: SQLiteColumn, cursor: Place | null): SQL =>
  cursor === null ? sql`true` : sql`(${createdAt}, ${id}) < (${cursor.createdAt}, ${cursor.id})`;

// In SQLite the other columns of a grouped query with max() are those of the row that has the maximum.

function metricBoards(db: Database, graders: string, { project, cursor, limit }: Asked): Promise<BoardRow[]> {
  const { id, body, model, status, board } = evaluations;
  const createdAt = createdAtOf(evaluations);
  return db
    .select({ id, body, createdAt, datasetName: datasets.name, models: countDistinct(model) })
    .from(evaluations)
    .innerJoin(datasets, eq(datasets.id, evaluations.dataset))
    .where(
      and(
        eq(evaluations.project, project),
        eq(status, "completed"),
        sql`${board} ->> ${sql.raw("'$[5]'")} = ${graders}`,
      ),
    )
    .groupBy(board)
    .having(isOlder(createdAt, id, cursor))
    .orderBy(desc(createdAt), desc(id))
    .limit(limit);
}

function preferenceBoards(db: Database, { project, cursor, limit }: Asked): Promise<BoardRow[]> {
  const { id, body, student, teacher, status, board } = preferenceEvaluations;
  const createdAt = createdAtOf(preferenceEvaluations);
  const models = countDistinct(sql`${student} || ' ' || ${teacher}`);
  return db
    .select({ id, body, createdAt, datasetName: datasets.name, models })
    .from(preferenceEvaluations)
    .innerJoin(datasets, eq(datasets.id, preferenceEvaluations.dataset))
    .where(and(eq(preferenceEvaluations.project, project), eq(status, "completed")))
    .groupBy(board)
    .having(isOlder(createdAt, id, cursor))
    .orderBy(desc(createdAt), desc(id))
    .limit(limit);
}

async function placeOf(db: Database, project: string, id: string): Promise<Place> {
  const found = (await findEvaluation(db, project, id)) ?? (await findPreferenceEvaluation(db, project, id));
  if (found === null) throw unknownCursor(id);
  return found;
}

const newestFirst = (a: Place, b: Place): number => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1);

/** The boards of these graders, and of preferences, newest first; `after` is the newest evaluation of the last board
 * already seen. */
export async function listBoards(
  db: Database,
  project: string,
  graders: string,
  { after, limit }: { after?: string | undefined; limit: number },
): Promise<BoardRow[]> {
  const cursor = after === undefined ? null : await placeOf(db, project, after);
  const asked = { project, cursor, limit };
  const both = await Promise.all([metricBoards(db, graders, asked), preferenceBoards(db, asked)]);
  return both.flat().sort(newestFirst).slice(0, limit);
}
