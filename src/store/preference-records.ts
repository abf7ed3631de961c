// The judged pairs of preference evaluations, item by item.
import { and, asc, count, eq, gt, sql } from "drizzle-orm";
import { GRADES_AT_ONCE } from "../config.ts";
import type { Database } from "./database.ts";
import { packed } from "./records.ts";
import { preferenceRecords } from "./schema.ts";

export type PreferenceRecordRow = typeof preferenceRecords.$inferSelect;
export type Margin = Pick<PreferenceRecordRow, "item" | "margin">;

/** The columns in the table's order, out of a JSON array of rows; `where true` as for records. */
const selectFrom = (json: string) => sql`
  select value ->> 'evaluation', value ->> 'item', value ->> 'seed', value ->> 'position', value -> 'prompt',
    value -> 'chosen', value -> 'rejected', value ->> 'margin'
  from json_each(${json}) where true`;

/** Statements that insert the rows; a record already there stays. */
export const insertPreferenceRecords = (db: Database, rows: readonly PreferenceRecordRow[]) =>
  [...packed(rows)].map((json) => db.insert(preferenceRecords).select(selectFrom(json)).onConflictDoNothing());

export async function countPreferenceRecords(db: Database, evaluation: string): Promise<number> {
  const rows = await db
    .select({ n: count() })
    .from(preferenceRecords)
    .where(eq(preferenceRecords.evaluation, evaluation));
  return rows[0]?.n ?? 0;
}

/** The margins alone, in the order of the evaluation. */
export async function marginsOf(db: Database, evaluation: string): Promise<Margin[]> {
  const { item, margin, position } = preferenceRecords;
  const margins: Margin[] = [];
  for (let last = -1; ;) {
    const rows = await db
      .select({ item, margin, position })
      .from(preferenceRecords)
      .where(and(eq(preferenceRecords.evaluation, evaluation), gt(position, last)))
      .orderBy(asc(position))
      .limit(GRADES_AT_ONCE);
    margins.push(...rows);
    last = rows.at(-1)?.position ?? last;
    if (rows.length < GRADES_AT_ONCE) return margins;
  }
}
