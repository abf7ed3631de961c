// Lists of runs, steps and checkpoints, as the pool has told D1.
import { and, asc, eq, like, or, sql } from "drizzle-orm";
import type { SQL } from "drizzle-orm";
import type { Checkpoint, Run, Step } from "../wire/runs.ts";
import type { Database } from "./database.ts";
import { newestFirst, olderThan, unknownCursor } from "./page.ts";
import { checkpoints, evaluations, models, preferenceEvaluations, runs, steps } from "./schema.ts";

export async function listRuns(db: Database, project: string, older: SQL | undefined, limit: number): Promise<Run[]> {
  const rows = await db
    .select({ body: runs.body })
    .from(runs)
    .where(and(eq(runs.project, project), older))
    .orderBy(...newestFirst(runs))
    .limit(limit);
  return rows.map((row) => row.body);
}

/** Those of the runs that are there. */
export async function findRuns(db: Database, project: string, ids: readonly string[]): Promise<Run[]> {
  // One parameter, however many they are: D1 binds 100 at the most.
  const named = sql`(select value from json_each(${JSON.stringify(ids)}))`;
  const rows = await db
    .select({ body: runs.body })
    .from(runs)
    .where(and(eq(runs.project, project), sql`${runs.id} in ${named}`));
  return rows.map((row) => row.body);
}

export const olderRun = (db: Database, project: string, after: string | undefined) =>
  olderThan(db, runs, project, after);

/** Steps in the order they were taken: by lineage, then by number. */
export async function listSteps(db: Database, run: string, after: string | undefined, limit: number): Promise<Step[]> {
  const rows = await db
    .select({ body: steps.body })
    .from(steps)
    .where(and(eq(steps.run, run), await laterStep(db, run, after)))
    .orderBy(asc(steps.lineage), asc(steps.step))
    .limit(limit);
  return rows.map((row) => row.body);
}

async function laterStep(db: Database, run: string, after: string | undefined): Promise<SQL | undefined> {
  if (after === undefined) return undefined;
  const [row] = await db
    .select({ lineage: steps.lineage, step: steps.step })
    .from(steps)
    .where(and(eq(steps.run, run), sql`json_extract(${steps.body}, '$.id') = ${after}`))
    .limit(1);
  if (row === undefined) throw unknownCursor(after);
  return sql`(${steps.lineage}, ${steps.step}) > (${row.lineage}, ${row.step})`;
}

export async function listCheckpoints(
  db: Database,
  project: string,
  run: string,
  page: { after?: string | undefined; limit: number },
): Promise<Checkpoint[]> {
  const older = await olderThan(db, checkpoints, project, page.after);
  const rows = await db
    .select({ body: checkpoints.body })
    .from(checkpoints)
    .where(and(eq(checkpoints.project, project), eq(checkpoints.run, run), older))
    .orderBy(...newestFirst(checkpoints))
    .limit(page.limit);
  return rows.map((row) => row.body);
}

/** The first thing that names a checkpoint of the run: another run, a pruned model or an evaluation. */
export async function runUser(db: Database, project: string, run: string): Promise<string | null> {
  const checkpoint = `${run}@%`;
  const json = (column: SQL | typeof runs.body | typeof models.source, path: string) =>
    sql`json_extract(${column}, ${path}) like ${checkpoint}`;
  const found = await Promise.all([
    db
      .select({ id: runs.id })
      .from(runs)
      .where(
        and(
          eq(runs.project, project),
          or(
            json(runs.body, "$.teacher"),
            json(runs.body, "$.student.model"),
            json(runs.body, "$.student.prune.model"),
            json(runs.body, "$.student.init.tokenizer"),
            json(runs.body, "$.objective.reward.implicit"),
          ),
        ),
      )
      .limit(1),
    db
      .select({ id: models.id })
      .from(models)
      .where(and(eq(models.project, project), json(models.source, "$.model")))
      .limit(1),
    db
      .select({ id: evaluations.id })
      .from(evaluations)
      .where(and(eq(evaluations.project, project), like(evaluations.model, checkpoint)))
      .limit(1),
    db
      .select({ id: preferenceEvaluations.id })
      .from(preferenceEvaluations)
      .where(
        and(
          eq(preferenceEvaluations.project, project),
          or(like(preferenceEvaluations.student, checkpoint), like(preferenceEvaluations.teacher, checkpoint)),
        ),
      )
      .limit(1),
  ]);
  return found.flat()[0]?.id ?? null;
}
