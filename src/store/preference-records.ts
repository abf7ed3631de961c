// The judged pairs of preference evaluations, item by item.
import { and, asc, count, eq, gt, sql } from "drizzle-orm";
import { GRADES_AT_ONCE, RECORD_PAGE_CHARS } from "../config.ts";
import type { Database } from "./database.ts";
import { unknownCursor } from "./page.ts";
import { packed } from "./records.ts";
import { preferenceRecords } from "./schema.ts";

export type PreferenceRecordRow = typeof preferenceRecords.$inferSelect;
export type Margin = Pick<PreferenceRecordRow, "item" | "margin">;

export const preferenceRecordId = ({ item, seed }: { item: string; seed: number }): string => `${item}:${seed}`;

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

async function positionAfter(db: Database, evaluation: string, after: string | undefined): Promise<number> {
  if (after === undefined) return -1;
  const [, item = "", seed = ""] = /^(.*):([0-9]+)$/.exec(after) ?? [];
  const [row] = await db
    .select({ position: preferenceRecords.position })
    .from(preferenceRecords)
    .where(
      and(
        eq(preferenceRecords.evaluation, evaluation),
        eq(preferenceRecords.item, item),
        eq(preferenceRecords.seed, Number(seed)),
      ),
    )
    .limit(1);
  if (row === undefined) throw unknownCursor(after);
  return row.position;
}

/** A page in the order of the evaluation, bounded in rows and in text: one record may be a megabyte. */
export async function readPreferenceRecords(
  db: Database,
  evaluation: string,
  { after, limit }: { after?: string | undefined; limit: number },
): Promise<{ rows: PreferenceRecordRow[]; more: boolean }> {
  const { prompt, chosen, rejected, position } = preferenceRecords;
  const last = await positionAfter(db, evaluation, after);
  const from = and(eq(preferenceRecords.evaluation, evaluation), gt(position, last));
  const size = sql<number>`length(${prompt}) + length(${chosen}) + length(${rejected})`;
  const sizes = await db
    .select({ size })
    .from(preferenceRecords)
    .where(from)
    .orderBy(asc(position))
    .limit(limit + 1);
  let room = RECORD_PAGE_CHARS;
  const full = sizes.slice(0, limit).findIndex((row, i) => (room -= row.size) < 0 && i > 0);
  const fitting = full === -1 ? limit : full;
  const rows = await db.select().from(preferenceRecords).where(from).orderBy(asc(position)).limit(fitting);
  return { rows, more: sizes.length > fitting };
}
