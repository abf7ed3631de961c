// What an evaluation of either kind has of each item and seed, page by page in its order. A page is bounded in rows and in
// text: one row may be a megabyte.
import { and, asc, eq, gt, sql } from "drizzle-orm";
import type { SQL } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { RECORD_PAGE_CHARS } from "../config.ts";
import type { Database } from "./database.ts";
import { unknownCursor } from "./page.ts";

/** A table of records. */
export type Itemised = SQLiteTable & Record<"evaluation" | "item" | "seed" | "position", SQLiteColumn>;

export const recordId = ({ item, seed }: { item: string; seed: number }): string => `${item}:${seed}`;

/** The place of the record that a cursor names; before all of them without one. */
export async function cursorPosition(
  db: Database,
  table: Itemised,
  evaluation: string,
  after: string | undefined,
): Promise<number> {
  if (after === undefined) return -1;
  const [, item = "", seed = ""] = /^(.*):([0-9]+)$/.exec(after) ?? [];
  const [row] = await db
    .select({ position: sql<number>`${table.position}` })
    .from(table)
    .where(and(eq(table.evaluation, evaluation), eq(table.item, item), eq(table.seed, Number(seed))))
    .limit(1);
  if (row === undefined) throw unknownCursor(after);
  return row.position;
}

export interface Window {
  /** The place after which to begin. */
  last: number;
  /** Records at the most. */
  limit: number;
}

export interface Places {
  /** The condition that leaves the page's records; null where there are none. */
  within: SQL | null;
  /** Whether any come after them. */
  more: boolean;
}

/**
 * The places of a page's records.
 *
 * @param conditions which records are wanted, the evaluation among them
 * @param size characters of a record
 */
export async function findPage(
  db: Database,
  table: Itemised,
  { conditions, size }: { conditions: readonly SQL[]; size: SQL },
  { last, limit }: Window,
): Promise<Places> {
  // Places and sizes alone: what the filter finds may be more than fits in memory.
  const found = await db
    .select({ position: sql<number>`${table.position}`, size: sql<number>`${size}` })
    .from(table)
    .where(and(...conditions, gt(table.position, last)))
    .orderBy(asc(table.position))
    .limit(limit + 1);
  const wanted = fitting(found, limit);
  if (wanted.length === 0) return { within: null, more: false };
  return { within: sql`${table.position} in ${among(wanted)}`, more: found.length > wanted.length };
}

/** As many of the first as fit a page, one at least: their places. */
function fitting(found: readonly { position: number; size: number }[], limit: number): number[] {
  let room = RECORD_PAGE_CHARS;
  const end = found.slice(0, limit).findIndex(({ size }, i) => {
    room -= size;
    return i > 0 && room < 0;
  });
  return found.slice(0, end === -1 ? limit : end).map(({ position }) => position);
}

export const among = (values: readonly (string | number)[]): SQL =>
  sql`(select value from json_each(${JSON.stringify(values)}))`;
