// Records page by page, in the order of the evaluation. A page is bounded in rows and in text: one record may be a megabyte.
import { and, asc, eq, gt, sql } from "drizzle-orm";
import type { SQL } from "drizzle-orm";
import { RECORD_PAGE_CHARS } from "../config.ts";
import type { Database } from "./database.ts";
import { unknownCursor } from "./page.ts";
import { conditions } from "./record-filters.ts";
import type { RecordFilter } from "./record-filters.ts";
import type { RecordRow } from "./records.ts";
import { records } from "./schema.ts";

export interface RecordPage {
  rows: { row: RecordRow; other: OtherRecord | null }[];
  /** Whether any come after them. */
  more: boolean;
}

/** What another evaluation has for the same item. */
export type OtherRecord = Pick<RecordRow, "item" | "seed" | "response" | "metrics">;

interface Found {
  position: number;
  /** Characters of the record, and of the other evaluation's where that is read too. */
  size: number;
}

export const recordId = (row: { item: string; seed: number }): string => `${row.item}:${row.seed}`;

/** The place of the record that a cursor names; before all of them without one. */
export async function cursorPosition(db: Database, evaluation: string, after: string | undefined): Promise<number> {
  if (after === undefined) return -1;
  const [, item = "", seed = ""] = /^(.*):([0-9]+)$/.exec(after) ?? [];
  const [row] = await db
    .select({ position: records.position })
    .from(records)
    .where(and(eq(records.evaluation, evaluation), eq(records.item, item), eq(records.seed, Number(seed))))
    .limit(1);
  if (row === undefined) throw unknownCursor(after);
  return row.position;
}

const otherSize = (other: string): SQL => sql`(
  select sum(length(theirs.response)) from records as theirs
  where theirs.evaluation = ${other} and theirs.item = ${records.item})`;

/** Places and sizes alone: what the filter finds may be more than fits in memory. */
function find(db: Database, evaluation: string, filter: RecordFilter, last: number, limit: number): Promise<Found[]> {
  const { response, prompt, references } = records;
  const theirs = filter.changedFrom === undefined ? sql`0` : otherSize(filter.changedFrom);
  const size = sql<number>`length(${response}) + length(${prompt}) + length(${references}) + ${theirs}`;
  return db
    .select({ position: records.position, size })
    .from(records)
    .where(and(...conditions(evaluation, filter), gt(records.position, last)))
    .orderBy(asc(records.position))
    .limit(limit);
}

/** As many of the first as fit a page, one at least. */
function fitting(found: readonly Found[], limit: number): Found[] {
  let room = RECORD_PAGE_CHARS;
  const end = found.slice(0, limit).findIndex(({ size }, i) => {
    room -= size;
    return i > 0 && room < 0;
  });
  return found.slice(0, end === -1 ? limit : end);
}

const among = (values: readonly (string | number)[]): SQL =>
  sql`(select value from json_each(${JSON.stringify(values)}))`;

/** For each row the other evaluation's record of the same item: of the same seed, where it has that. */
async function othersOf(
  db: Database,
  other: string,
  rows: readonly RecordRow[],
): Promise<(row: RecordRow) => OtherRecord | null> {
  const items = among(rows.map(({ item }) => item));
  const { item, seed, response, metrics } = records;
  const found = await db
    .select({ item, seed, response, metrics })
    .from(records)
    .where(and(eq(records.evaluation, other), sql`${item} in ${items}`))
    // Not the column itself: SQLite would read the whole evaluation in order rather than find the items and sort them.
    .orderBy(sql`+${records.position}`);
  const byItem = Map.groupBy(found, (record) => record.item);
  return (row) => {
    const same = byItem.get(row.item) ?? [];
    return same.find((record) => record.seed === row.seed) ?? same[0] ?? null;
  };
}

/** The records after the place `last` that the filter leaves, `limit` at the most. */
export async function readRecords(
  db: Database,
  evaluation: string,
  filter: RecordFilter,
  { last, limit }: { last: number; limit: number },
): Promise<RecordPage> {
  const found = await find(db, evaluation, filter, last, limit + 1);
  const wanted = fitting(found, limit);
  if (wanted.length === 0) return { rows: [], more: false };
  const rows = await db
    .select()
    .from(records)
    .where(and(eq(records.evaluation, evaluation), sql`${records.position} in ${among(wanted.map((r) => r.position))}`))
    .orderBy(asc(records.position));
  const { changedFrom } = filter;
  const other = changedFrom === undefined ? () => null : await othersOf(db, changedFrom, rows);
  return { rows: rows.map((row) => ({ row, other: other(row) })), more: found.length > wanted.length };
}
