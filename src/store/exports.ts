// Artifacts for the edge, as the pool has told D1.
import { and, asc, eq } from "drizzle-orm";
import type { Precision } from "../wire/exports.ts";
import type { Database } from "./database.ts";
import { edgeExports } from "./schema.ts";

export type ExportRow = typeof edgeExports.$inferSelect;

/** All of a checkpoint: at most one of each precision. */
export const listExports = (db: Database, project: string, checkpoint: string): Promise<ExportRow[]> =>
  db
    .select()
    .from(edgeExports)
    .where(and(eq(edgeExports.project, project), eq(edgeExports.checkpoint, checkpoint)))
    .orderBy(asc(edgeExports.precision));

export async function findExport(
  db: Database,
  project: string,
  checkpoint: string,
  precision: Precision,
): Promise<ExportRow | null> {
  const rows = await db
    .select()
    .from(edgeExports)
    .where(
      and(
        eq(edgeExports.project, project),
        eq(edgeExports.checkpoint, checkpoint),
        eq(edgeExports.precision, precision),
      ),
    )
    .limit(1);
  return rows[0] ?? null;
}
