// What the scheduled sweep asks of the record: what has outlived its project's retention, and whose a blob is.
import { and, asc, eq, inArray, isNotNull, sql } from "drizzle-orm";
import { SQL_PARAMETERS } from "../config.ts";
import type { Database } from "./database.ts";
import { datasets, evaluations, projects, runs } from "./schema.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

export interface Expired {
  resource: "evaluation" | "run";
  id: string;
  project: string;
  pool: string;
}

/** The oldest evaluations and runs that are older than their project keeps them; evaluations first, since they name runs. */
export async function listExpired(db: Database, now: number, limit: number): Promise<Expired[]> {
  const old = (createdAt: typeof runs.createdAt | typeof evaluations.createdAt) =>
    and(isNotNull(projects.retentionDays), sql`${createdAt} + ${projects.retentionDays} * ${DAY_MS} < ${now}`);
  const [oldEvaluations, oldRuns] = await Promise.all([
    db
      .select({ id: evaluations.id, project: projects.id, pool: projects.pool })
      .from(evaluations)
      .innerJoin(projects, eq(projects.id, evaluations.project))
      .where(old(evaluations.createdAt))
      .orderBy(asc(evaluations.createdAt))
      .limit(limit),
    db
      .select({ id: runs.id, project: projects.id, pool: projects.pool })
      .from(runs)
      .innerJoin(projects, eq(projects.id, runs.project))
      .where(old(runs.createdAt))
      .orderBy(asc(runs.createdAt))
      .limit(limit),
  ]);
  return [
    ...oldEvaluations.map((row) => ({ resource: "evaluation" as const, ...row })),
    ...oldRuns.map((row) => ({ resource: "run" as const, ...row })),
  ];
}

/** The pools of projects, by project id. */
export async function poolsOf(db: Database, ids: readonly string[]): Promise<Map<string, string>> {
  const rows = await db
    .select({ id: projects.id, pool: projects.pool })
    .from(projects)
    .where(inArray(projects.id, ids.slice(0, SQL_PARAMETERS)));
  return new Map(rows.map(({ id, pool }) => [id, pool]));
}

/** Those of the data sets that are there. */
export async function existingDatasets(db: Database, ids: readonly string[]): Promise<Set<string>> {
  const rows = await db
    .select({ id: datasets.id })
    .from(datasets)
    .where(inArray(datasets.id, ids.slice(0, SQL_PARAMETERS)));
  return new Set(rows.map(({ id }) => id));
}
