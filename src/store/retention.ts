// What the scheduled sweep asks of the record: what has outlived its project's retention, and whose a blob is.
import { and, asc, eq, inArray, isNotNull, sql } from "drizzle-orm";
import { SQL_PARAMETERS } from "../config.ts";
import type { Database } from "./database.ts";
import { datasets, evaluations, preferenceEvaluations, projects, runs } from "./schema.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

export interface Expired {
  resource: "evaluation" | "preference_evaluation" | "run" | "dataset";
  id: string;
  project: { id: string; name: string; pool: string; retentionDays: number | null };
}

type CreatedAt =
  | typeof runs.createdAt
  | typeof evaluations.createdAt
  | typeof preferenceEvaluations.createdAt
  | typeof datasets.createdAt;

const owner = {
  project: { id: projects.id, name: projects.name, pool: projects.pool, retentionDays: projects.retentionDays },
};

/** The oldest evaluations, runs and data sets that are older than their project keeps them, users before what they use. */
export async function listExpired(db: Database, now: number, limit: number): Promise<Expired[]> {
  const old = (createdAt: CreatedAt) =>
    and(isNotNull(projects.retentionDays), sql`${createdAt} + ${projects.retentionDays} * ${DAY_MS} < ${now}`);
  // No batch: it keeps columns by name, and both tables of a join have an `id`.
  const [oldEvaluations, oldPreferences, oldRuns, oldDatasets] = await Promise.all([
    db
      .select({ id: evaluations.id, ...owner })
      .from(evaluations)
      .innerJoin(projects, eq(projects.id, evaluations.project))
      .where(old(evaluations.createdAt))
      .orderBy(asc(evaluations.createdAt))
      .limit(limit),
    db
      .select({ id: preferenceEvaluations.id, ...owner })
      .from(preferenceEvaluations)
      .innerJoin(projects, eq(projects.id, preferenceEvaluations.project))
      .where(old(preferenceEvaluations.createdAt))
      .orderBy(asc(preferenceEvaluations.createdAt))
      .limit(limit),
    db
      .select({ id: runs.id, ...owner })
      .from(runs)
      .innerJoin(projects, eq(projects.id, runs.project))
      .where(old(runs.createdAt))
      .orderBy(asc(runs.createdAt))
      .limit(limit),
    db
      .select({ id: datasets.id, ...owner })
      .from(datasets)
      .innerJoin(projects, eq(projects.id, datasets.project))
      .where(old(datasets.createdAt))
      .orderBy(asc(datasets.createdAt))
      .limit(limit),
  ]);
  return [
    ...oldEvaluations.map((row) => ({ resource: "evaluation" as const, ...row })),
    ...oldPreferences.map((row) => ({ resource: "preference_evaluation" as const, ...row })),
    ...oldRuns.map((row) => ({ resource: "run" as const, ...row })),
    ...oldDatasets.map((row) => ({ resource: "dataset" as const, ...row })),
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
