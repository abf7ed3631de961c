// Records: an evaluation's graded responses, item by item.
import { and, asc, count, eq, gt, sql } from "drizzle-orm";
import { GRADES_AT_ONCE } from "../config.ts";
import type { Database } from "./database.ts";
import { records } from "./schema.ts";

export type RecordRow = typeof records.$inferSelect;

/** JSON of one statement, bytes: a bound value holds 2 MB. */
const STATEMENT_BYTES = 1_000_000;

const bytes = (text: string): number => new TextEncoder().encode(text).length;

/** Rows as JSON arrays, each small enough for one bound value. */
export function* packed(rows: readonly object[]): Generator<string> {
  let items: string[] = [];
  let size = 0;
  for (const row of rows) {
    const item = JSON.stringify(row);
    const length = bytes(item);
    if (items.length > 0 && size + length > STATEMENT_BYTES) {
      yield `[${items.join(",")}]`;
      items = [];
      size = 0;
    }
    items.push(item);
    size += length;
  }
  if (items.length > 0) yield `[${items.join(",")}]`;
}

/** The columns of a record, in the table's order, out of a JSON array of rows. `where true` tells SQLite's parser that
 * what follows is the conflict's clause and no join's. */
const selectFrom = (json: string) => sql`
  select value ->> 'evaluation', value ->> 'item', value ->> 'seed', value ->> 'position', value -> 'prompt',
    value -> 'references', value ->> 'response', value ->> 'finishReason', value ->> 'numTokens', value -> 'metrics'
  from json_each(${json}) where true`;

/** Statements that insert the rows; a record already there stays, since its response is never generated again.
 * Each binds one value, so that ten thousand rows are a few statements instead of a thousand. */
export const insertRecords = (db: Database, rows: readonly RecordRow[]) =>
  [...packed(rows)].map((json) => db.insert(records).select(selectFrom(json)).onConflictDoNothing());

export async function countRecords(db: Database, evaluation: string): Promise<number> {
  const rows = await db.select({ n: count() }).from(records).where(eq(records.evaluation, evaluation));
  return rows[0]?.n ?? 0;
}

/** The grades alone, in the order of the evaluation. */
export async function gradesOf(db: Database, evaluation: string): Promise<Pick<RecordRow, "item" | "metrics">[]> {
  const grades: Pick<RecordRow, "item" | "metrics">[] = [];
  for (let last = -1; ;) {
    const rows = await db
      .select({ item: records.item, position: records.position, metrics: records.metrics })
      .from(records)
      .where(and(eq(records.evaluation, evaluation), gt(records.position, last)))
      .orderBy(asc(records.position))
      .limit(GRADES_AT_ONCE);
    grades.push(...rows.map(({ item, metrics }) => ({ item, metrics })));
    last = rows.at(-1)?.position ?? last;
    if (rows.length < GRADES_AT_ONCE) return grades;
  }
}
