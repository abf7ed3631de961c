// Log-probabilities of responses that were computed before, by the digest of all that determines them.
import { and, eq, lt, sql } from "drizzle-orm";
import type { ResponseLogprobs } from "../wire/payloads.ts";
import type { Database } from "./database.ts";
import { packed } from "./records.ts";
import { logprobs } from "./schema.ts";

export type LogprobsRow = typeof logprobs.$inferSelect;

/** Those that are there, by key. */
export async function findLogprobs(
  db: Database,
  project: string,
  keys: readonly string[],
): Promise<Map<string, ResponseLogprobs>> {
  // One parameter, however many they are: D1 binds 100 at the most.
  const asked = sql`(select value from json_each(${JSON.stringify(keys)}))`;
  const rows = await db
    .select({ key: logprobs.key, body: logprobs.body })
    .from(logprobs)
    .where(and(eq(logprobs.project, project), sql`${logprobs.key} in ${asked}`));
  return new Map(rows.map(({ key, body }) => [key, body]));
}

/** How many of the keys are there. */
export async function countLogprobs(db: Database, project: string, keys: readonly string[]): Promise<number> {
  const asked = sql`(select value from json_each(${JSON.stringify(keys)}))`;
  return db.$count(logprobs, and(eq(logprobs.project, project), sql`${logprobs.key} in ${asked}`));
}

/** The columns in the table's order, out of a JSON array of rows; `where true` as for records. */
const selectFrom = (json: string) => sql`
  select value ->> 'project', value ->> 'key', value ->> 'weightsDigest', value -> 'body', value ->> 'createdAt'
  from json_each(${json}) where true`;

/** What is there stays: it has the same numbers. */
export async function putLogprobs(db: Database, rows: readonly LogprobsRow[]): Promise<void> {
  const [first, ...rest] = [...packed(rows)].map((json) =>
    db.insert(logprobs).select(selectFrom(json)).onConflictDoNothing(),
  );
  if (first !== undefined) await db.batch([first, ...rest]);
}

/** All of a project's: which of them came from a data set that is gone, their keys do not tell. */
export const forgetLogprobs = (db: Database, project: string) =>
  db.delete(logprobs).where(eq(logprobs.project, project));

/** Those of one model's weights. */
export const forgetModelLogprobs = (db: Database, project: string, weightsDigest: string) =>
  db.delete(logprobs).where(and(eq(logprobs.project, project), eq(logprobs.weightsDigest, weightsDigest)));

export const expireLogprobs = (db: Database, before: number) =>
  db.delete(logprobs).where(lt(logprobs.createdAt, before));
