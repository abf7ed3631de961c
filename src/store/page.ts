// Cursor pages, newest first: `after` names the last row already seen.
import { and, desc, eq, sql } from "drizzle-orm";
import type { SQL } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { ApiError } from "../errors.ts";
import type { Database } from "./database.ts";

type Dated = SQLiteTable & { id: SQLiteColumn; createdAt: SQLiteColumn };
type Owned = Dated & { project: SQLiteColumn };

export const newestFirst = (table: Dated): SQL[] => [desc(table.createdAt), desc(table.id)];

/** The condition that leaves what comes after the row `after`, undefined for the first page; 400 if `scope` has no such row. */
export async function olderWithin(
  db: Database,
  table: Dated,
  scope: SQL | undefined,
  after: string | undefined,
): Promise<SQL | undefined> {
  if (after === undefined) return undefined;
  const [row] = await db
    .select({ createdAt: table.createdAt, id: table.id })
    .from(table)
    .where(and(eq(table.id, after), scope))
    .limit(1);
  if (row === undefined) throw unknownCursor(after);
  return sql`(${table.createdAt}, ${table.id}) < (${row.createdAt}, ${row.id})`;
}

/** `olderWithin` one project. */
export const olderThan = (
  db: Database,
  table: Owned,
  project: string,
  after: string | undefined,
): Promise<SQL | undefined> => olderWithin(db, table, eq(table.project, project), after);

export const unknownCursor = (after: string): ApiError =>
  new ApiError(
    "invalid_request",
    `after: this list has no item ${after}; give the last_id of a page, or leave it out.`,
    { param: "after" },
  );
