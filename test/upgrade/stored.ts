// What a state folder holds, read from its SQLite files with no stack running: the pool's journal and the outbox.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";

/** Every SQLite file under a folder. */
export function databases(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".sqlite"))
    .map((name) => join(folder, name))
    .sort();
}

/** Rows of a query. A file that nobody has open takes in what its log holds. */
export function rows<T>(file: string, schema: z.ZodType<T>, sql: string, ...parameters: (string | number)[]): T[] {
  const database = new DatabaseSync(file);
  try {
    return z.array(schema).parse(database.prepare(sql).all(...parameters));
  } finally {
    database.close();
  }
}

const hasTable = (file: string, table: string): boolean =>
  rows(file, z.object({}), "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", table).length > 0;

/** The one database under `folder` that has this table. */
export function databaseWith(folder: string, table: string): string {
  const [file, ...others] = databases(folder).filter((name) => statSync(name).size > 0 && hasTable(name, table));
  if (file === undefined || others.length > 0) throw new Error(`${folder}: not one database has a table ${table}`);
  return file;
}

const StoredRun = z.object({
  id: z.string(),
  status: z.string(),
  head: z.int(),
  target: z.int(),
  /** Steps in the journal. */
  steps: z.int(),
  /** Step of the newest resume state, and of the newest checkpoint. */
  resume: z.int().nullable(),
  checkpoint: z.int().nullable(),
});
const StoredEvaluation = z.object({
  id: z.string(),
  status: z.string(),
  object: z.enum(["evaluation", "preference_evaluation"]),
  batches: z.int(),
  committed: z.int(),
});
const StoredJob = z.object({
  id: z.string(),
  kind: z.string(),
  status: z.string(),
  attempts: z.int(),
  /** When its lease ends, Unix ms; null where it has none. */
  until: z.number().nullable(),
});

export const Stored = z.object({
  runs: z.array(StoredRun),
  evaluations: z.array(StoredEvaluation),
  jobs: z.array(StoredJob),
  /** What D1 has not been told yet. */
  outbox: z.int(),
  /** What D1 has. */
  recorded: z.object({ evaluations: z.int(), given: z.int(), records: z.int(), preferences: z.int() }),
});
export type Stored = z.infer<typeof Stored>;

const Count = z.object({ n: z.int() });
const count = (file: string, what: string): number => rows(file, Count, `SELECT count(*) AS n FROM ${what}`)[0]?.n ?? 0;

export function readStored(state: string): Stored {
  const pool = databaseWith(join(state, "pool"), "outbox");
  const record = databaseWith(join(state, "d1"), "projects");
  const newest = (kind: string) => `(SELECT max(step) FROM states WHERE run = runs.id AND kind = '${kind}')`;
  return {
    runs: rows(
      pool,
      StoredRun,
      `SELECT id, status, head, target, (SELECT count(*) FROM steps WHERE run = runs.id AND superseded = 0) AS steps,
         ${newest("resume")} AS resume, ${newest("checkpoint")} AS checkpoint FROM runs ORDER BY id`,
    ),
    evaluations: rows(
      pool,
      StoredEvaluation,
      `SELECT id, body ->> 'status' AS status, body ->> 'object' AS object, count(batch) AS batches,
         coalesce(sum(committed), 0) AS committed
       FROM evaluations LEFT JOIN batches ON batches.evaluation = evaluations.id GROUP BY id ORDER BY id`,
    ),
    jobs: rows(
      pool,
      StoredJob,
      "SELECT id, kind, status, attempts, (SELECT until FROM leases WHERE job = jobs.id) AS until FROM jobs ORDER BY id",
    ),
    outbox: count(pool, "outbox"),
    recorded: {
      evaluations: count(record, "evaluations WHERE status = 'completed' AND metrics IS NOT NULL"),
      given: count(record, "evaluations WHERE status = 'completed' AND body ->> 'generation' IS NULL"),
      records: count(record, "records"),
      preferences: count(record, "preference_evaluations WHERE status = 'completed' AND metrics IS NOT NULL"),
    },
  };
}

/** What a fixture must hold to be worth an upgrade, each with whether this state does. `killedAt`: Unix ms. */
export function conditions(stored: Stored, killedAt: number): Record<string, boolean> {
  const { runs, evaluations, jobs, outbox, recorded } = stored;
  const amid = runs.find(({ head, target, resume }) => resume !== null && resume < head && head < target);
  return {
    "a run in the middle, with steps after its resume state and a checkpoint":
      amid !== undefined && amid.steps === amid.head && amid.checkpoint !== null,
    "a completed run with a checkpoint": runs.some(
      ({ status, head, checkpoint }) => status === "completed" && checkpoint === head,
    ),
    "a queued job that no worker has taken": jobs.some(({ status, attempts }) => status === "queued" && attempts === 0),
    "a half-done evaluation": evaluations.some(
      ({ object, batches, committed }) => object === "evaluation" && committed > 0 && committed < batches,
    ),
    "finished evaluations of a model and of given responses, and one of preferences":
      recorded.given > 0 && recorded.evaluations > recorded.given && recorded.records > 0 && recorded.preferences > 0,
    "entries in the outbox": outbox > 0,
    "a live lease": jobs.some(({ until }) => until !== null && until > killedAt),
  };
}

/** Those that do not hold. */
export const lacking = (stored: Stored, killedAt: number): string[] =>
  Object.entries(conditions(stored, killedAt))
    .filter(([, holds]) => !holds)
    .map(([name]) => name);
