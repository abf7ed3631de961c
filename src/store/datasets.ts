// Data sets in D1: what they are, and where their splits lie in R2.
import { and, eq, or, sql } from "drizzle-orm";
import type { Database } from "./database.ts";
import { newestFirst, olderThan } from "./page.ts";
import { datasets, evaluations, preferenceEvaluations, runs } from "./schema.ts";

export type DatasetRow = typeof datasets.$inferSelect;

export async function findDatasetRow(db: Database, project: string, idOrName: string): Promise<DatasetRow | null> {
  const rows = await db
    .select()
    .from(datasets)
    .where(and(eq(datasets.project, project), or(eq(datasets.id, idOrName), eq(datasets.name, idOrName))))
    .limit(2);
  return rows.find((row) => row.id === idOrName) ?? rows[0] ?? null;
}

/** Inserts the data set, or returns the one that has its id: one statement. */
export async function putDataset(db: Database, row: typeof datasets.$inferInsert): Promise<DatasetRow> {
  const [stored] = await db
    .insert(datasets)
    .values(row)
    .onConflictDoUpdate({ target: datasets.id, set: { id: sql`excluded.id` } })
    .returning();
  if (stored === undefined) throw new Error("D1 returned no row for an upserted data set");
  return stored;
}

export async function listDatasetRows(
  db: Database,
  project: string,
  after: string | undefined,
  limit: number,
): Promise<DatasetRow[]> {
  const older = await olderThan(db, datasets, project, after);
  return db
    .select()
    .from(datasets)
    .where(and(eq(datasets.project, project), older))
    .orderBy(...newestFirst(datasets))
    .limit(limit);
}

export const removeDataset = (db: Database, project: string, id: string) =>
  db.delete(datasets).where(and(eq(datasets.project, project), eq(datasets.id, id)));

/** The first run or evaluation that uses the data set. */
export async function datasetUser(db: Database, project: string, id: string, name: string): Promise<string | null> {
  const names = sql`(${id}, ${name})`;
  const found = await Promise.all([
    db
      .select({ id: runs.id })
      .from(runs)
      .where(
        and(
          eq(runs.project, project),
          sql`(${runs.dataset} in ${names}
            or json_extract(${runs.body}, '$.lm_dataset') in ${names}
            or json_extract(${runs.body}, '$.evaluation.dataset') in ${names})`,
        ),
      )
      .limit(1),
    db
      .select({ id: evaluations.id })
      .from(evaluations)
      .where(and(eq(evaluations.project, project), eq(evaluations.dataset, id)))
      .limit(1),
    db
      .select({ id: preferenceEvaluations.id })
      .from(preferenceEvaluations)
      .where(and(eq(preferenceEvaluations.project, project), eq(preferenceEvaluations.dataset, id)))
      .limit(1),
  ]);
  return found.flat()[0]?.id ?? null;
}
