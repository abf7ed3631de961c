// Keys and projects: the authority of who may ask.
import { and, eq, isNull, sql } from "drizzle-orm";
import type { SQL } from "drizzle-orm";
import type { Database } from "./database.ts";
import { newestFirst, olderWithin } from "./page.ts";
import { keys, projects } from "./schema.ts";

export type KeyRow = typeof keys.$inferSelect;
export type ProjectRow = typeof projects.$inferSelect;

/** A key with its project, unless it was revoked. */
export async function findKey(db: Database, id: string): Promise<{ key: KeyRow; project: ProjectRow | null } | null> {
  const [row] = await db
    .select({ key: keys, project: projects })
    .from(keys)
    .leftJoin(projects, eq(projects.id, keys.project))
    .where(and(eq(keys.id, id), isNull(keys.revokedAt)))
    .limit(1);
  return row ?? null;
}

export async function findProject(db: Database, id: string): Promise<ProjectRow | null> {
  const [row] = await db.select().from(projects).where(eq(projects.id, id)).limit(1);
  return row ?? null;
}

const insertKeyOrRead = (db: Database, row: typeof keys.$inferInsert) =>
  db
    .insert(keys)
    .values(row)
    .onConflictDoUpdate({ target: keys.id, set: { id: sql`excluded.id` } })
    .returning();

/** Inserts the key, or returns the one that has its id: one statement. */
export async function putKey(db: Database, row: typeof keys.$inferInsert): Promise<KeyRow> {
  const [stored] = await insertKeyOrRead(db, row);
  if (stored === undefined) throw new Error("D1 returned no row for an upserted key");
  return stored;
}

/** Inserts a project with its first key, or returns those that have their ids. */
export async function putProject(
  db: Database,
  project: typeof projects.$inferInsert,
  key: typeof keys.$inferInsert,
): Promise<{ project: ProjectRow; key: KeyRow }> {
  const [[storedProject], [storedKey]] = await db.batch([
    db
      .insert(projects)
      .values(project)
      .onConflictDoUpdate({ target: projects.id, set: { id: sql`excluded.id` } })
      .returning(),
    insertKeyOrRead(db, key),
  ]);
  if (storedProject === undefined || storedKey === undefined)
    throw new Error("D1 returned no row for an upserted project");
  return { project: storedProject, key: storedKey };
}

/** A project's keys, or the shared ones. */
const ownedBy = (project: string | null): SQL => (project === null ? isNull(keys.project) : eq(keys.project, project));

export async function listKeys(
  db: Database,
  project: string | null,
  after: string | undefined,
  limit: number,
): Promise<KeyRow[]> {
  const scope = ownedBy(project);
  const older = await olderWithin(db, keys, scope, after);
  return db
    .select()
    .from(keys)
    .where(and(scope, isNull(keys.revokedAt), older))
    .orderBy(...newestFirst(keys))
    .limit(limit);
}

/** False if there is no such key. */
export async function revoke(db: Database, project: string | null, id: string, now: number): Promise<boolean> {
  const revoked = await db
    .update(keys)
    .set({ revokedAt: now })
    .where(and(eq(keys.id, id), ownedBy(project), isNull(keys.revokedAt)))
    .returning({ id: keys.id });
  return revoked.length > 0;
}

export async function listProjects(db: Database, after: string | undefined, limit: number): Promise<ProjectRow[]> {
  const older = await olderWithin(db, projects, undefined, after);
  return db
    .select()
    .from(projects)
    .where(older)
    .orderBy(...newestFirst(projects))
    .limit(limit);
}
