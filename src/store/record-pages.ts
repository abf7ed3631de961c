// Records page by page, beside those of another evaluation where they are compared with it.
import { and, asc, eq, sql } from "drizzle-orm";
import type { SQL } from "drizzle-orm";
import type { Database } from "./database.ts";
import { among, findPage } from "./item-pages.ts";
import type { Window } from "./item-pages.ts";
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

const otherSize = (other: string): SQL => sql`(
  select sum(length(theirs.response)) from records as theirs
  where theirs.evaluation = ${other} and theirs.item = ${records.item})`;

/** Characters of the record, and of the other evaluation's where that is read too. */
function sizeOf({ changedFrom }: RecordFilter): SQL {
  const { response, prompt, references } = records;
  const theirs = changedFrom === undefined ? sql`0` : otherSize(changedFrom);
  return sql`length(${response}) + length(${prompt}) + length(${references}) + ${theirs}`;
}

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

/** The records of the window that the filter leaves. */
export async function readRecords(
  db: Database,
  evaluation: string,
  filter: RecordFilter,
  window: Window,
): Promise<RecordPage> {
  const asked = { conditions: conditions(evaluation, filter), size: sizeOf(filter) };
  const { within, more } = await findPage(db, records, asked, window);
  if (within === null) return { rows: [], more };
  const rows = await db
    .select()
    .from(records)
    .where(and(eq(records.evaluation, evaluation), within))
    .orderBy(asc(records.position));
  const { changedFrom } = filter;
  const other = changedFrom === undefined ? () => null : await othersOf(db, changedFrom, rows);
  return { rows: rows.map((row) => ({ row, other: other(row) })), more };
}
