// Jobs in D1: the list follows the pool, which is their authority.
import { and, eq } from "drizzle-orm";
import type { Database } from "./database.ts";
import { newestFirst, olderThan } from "./page.ts";
import { jobs } from "./schema.ts";

export type JobRow = typeof jobs.$inferSelect;

export async function listJobRows(
  db: Database,
  project: string,
  after: string | undefined,
  limit: number,
): Promise<JobRow[]> {
  const older = await olderThan(db, jobs, project, after);
  return db
    .select()
    .from(jobs)
    .where(and(eq(jobs.project, project), older))
    .orderBy(...newestFirst(jobs))
    .limit(limit);
}
