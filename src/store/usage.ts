// Usage by day, as the pool reported it, and what the project keeps in R2.
import { and, desc, eq, gte, sql } from "drizzle-orm";
import type { Database } from "./database.ts";
import { checkpoints, datasets, usage } from "./schema.ts";

export type UsageRow = typeof usage.$inferSelect;

/** Rows from `day` on, the newest day first. */
export const listUsage = (db: Database, project: string, day: string): Promise<UsageRow[]> =>
  db
    .select()
    .from(usage)
    .where(and(eq(usage.project, project), gte(usage.day, day)))
    .orderBy(desc(usage.day));

/** Bytes of the data sets and checkpoints that the project keeps. */
export async function bytesStored(db: Database, project: string): Promise<number> {
  const total = (bytes: typeof datasets.bytes | typeof checkpoints.bytes) => sql<number>`coalesce(sum(${bytes}), 0)`;
  const [[sets], [states]] = await db.batch([
    db
      .select({ bytes: total(datasets.bytes) })
      .from(datasets)
      .where(eq(datasets.project, project)),
    db
      .select({ bytes: total(checkpoints.bytes) })
      .from(checkpoints)
      .where(eq(checkpoints.project, project)),
  ]);
  return (sets?.bytes ?? 0) + (states?.bytes ?? 0);
}
