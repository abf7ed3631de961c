// D1 through drizzle. 100 bound parameters a query; `batch` is the only transaction.
import { drizzle } from "drizzle-orm/d1";
import type { DrizzleD1Database } from "drizzle-orm/d1";
import * as schema from "./schema.ts";
import { SQL_PARAMETERS } from "../config.ts";

export type Database = DrizzleD1Database<typeof schema>;

export const database = (d1: D1Database): Database => drizzle(d1, { schema });

/** Cuts rows so that one INSERT of a chunk binds at most 100 parameters. `columns`: values that one row binds. */
export function chunks<T>(rows: readonly T[], columns: number): T[][] {
  const size = Math.max(1, Math.floor(SQL_PARAMETERS / columns));
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, index) =>
    rows.slice(index * size, (index + 1) * size),
  );
}
