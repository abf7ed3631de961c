// The model registry in D1.
import { and, eq, or, sql } from "drizzle-orm";
import type { Database } from "./database.ts";
import { newestFirst, olderThan } from "./page.ts";
import { evaluations, models, preferenceEvaluations, runs } from "./schema.ts";

export type ModelRow = typeof models.$inferSelect;

/** By id or by name: an id has an underscore after its prefix, and both are unique in a project. */
export async function findModel(db: Database, project: string, idOrName: string): Promise<ModelRow | null> {
  const rows = await db
    .select()
    .from(models)
    .where(and(eq(models.project, project), or(eq(models.id, idOrName), eq(models.name, idOrName))))
    .limit(2);
  return rows.find((row) => row.id === idOrName) ?? rows[0] ?? null;
}

/** Inserts the model, or returns the one that has its id: one statement. */
export async function putModel(db: Database, row: typeof models.$inferInsert): Promise<ModelRow> {
  const [stored] = await db
    .insert(models)
    .values(row)
    .onConflictDoUpdate({ target: models.id, set: { id: sql`excluded.id` } })
    .returning();
  if (stored === undefined) throw new Error("D1 returned no row for an upserted model");
  return stored;
}

export async function listModels(
  db: Database,
  project: string,
  after: string | undefined,
  limit: number,
): Promise<ModelRow[]> {
  const older = await olderThan(db, models, project, after);
  return db
    .select()
    .from(models)
    .where(and(eq(models.project, project), older))
    .orderBy(...newestFirst(models))
    .limit(limit);
}

export const removeModel = (db: Database, project: string, id: string) =>
  db.delete(models).where(and(eq(models.project, project), eq(models.id, id)));

/** The first thing that names the model: a pruned copy, a run or an evaluation. */
export async function modelUser(db: Database, project: string, id: string, name: string): Promise<string | null> {
  const names = sql`(${id}, ${name})`;
  const uses = [
    db
      .select({ id: models.id })
      .from(models)
      .where(and(eq(models.project, project), sql`json_extract(${models.source}, '$.model') in ${names}`))
      .limit(1),
    db
      .select({ id: runs.id })
      .from(runs)
      .where(
        and(
          eq(runs.project, project),
          sql`(json_extract(${runs.body}, '$.teacher') in ${names}
            or json_extract(${runs.body}, '$.student.model') in ${names}
            or json_extract(${runs.body}, '$.student.prune.model') in ${names}
            or json_extract(${runs.body}, '$.student.init.tokenizer') in ${names}
            or json_extract(${runs.body}, '$.objective.reward.implicit') in ${names})`,
        ),
      )
      .limit(1),
    db
      .select({ id: evaluations.id })
      .from(evaluations)
      .where(and(eq(evaluations.project, project), eq(evaluations.model, id)))
      .limit(1),
    db
      .select({ id: preferenceEvaluations.id })
      .from(preferenceEvaluations)
      .where(
        and(
          eq(preferenceEvaluations.project, project),
          or(eq(preferenceEvaluations.student, id), eq(preferenceEvaluations.teacher, id)),
        ),
      )
      .limit(1),
  ];
  const found = await Promise.all(uses);
  return found.flat()[0]?.id ?? null;
}
