// The store's version, and the steps that bring an older store to it. A step that has been released is never changed.
import { z } from "zod";
import { REQUEST_KINDS } from "../../wire/payloads.ts";
import { FIRST_SCHEMA } from "./schema.ts";

const ACTIVE = "status IN ('queued', 'running')";
/** As `lineOf` says it. */
const LINE = `CASE WHEN run IS NOT NULL THEN 'run ' || run
  ELSE project || ' ' || kind || ' ' || local_models || ' ' || models ||
    coalesce((SELECT ' !' || group_concat(boot, ' ') FROM refusals WHERE refusals.job = jobs.id), '') END`;
const REQUESTS = REQUEST_KINDS.map((kind) => `'${kind}'`).join(", ");

/** Statements of each step: the first brings version 0 (0.1.0) to version 1, and so on. */
const STEPS: readonly (readonly string[])[] = [
  [
    `ALTER TABLE leases ADD COLUMN lane TEXT NOT NULL DEFAULT 'long'`,
    `UPDATE leases SET lane = 'requests' WHERE job IN (SELECT id FROM jobs WHERE kind IN (${REQUESTS}))`,
    `DROP INDEX leases_boot`,
    `CREATE INDEX leases_boot ON leases (boot, lane)`,
    `ALTER TABLE workers ADD COLUMN protocol INTEGER NOT NULL DEFAULT 1`,
    `ALTER TABLE runs ADD COLUMN engine INTEGER NOT NULL DEFAULT 0`,
  ],
  [
    `ALTER TABLE jobs RENAME COLUMN tries TO failures`,
    // it counted leases
    `UPDATE jobs SET failures = 0 WHERE status IN ('queued', 'running')`,
    `ALTER TABLE jobs ADD COLUMN interruptions INTEGER NOT NULL DEFAULT 0`,
    `ALTER TABLE jobs ADD COLUMN suspect TEXT`,
    `CREATE INDEX jobs_suspect ON jobs (suspect) WHERE suspect IS NOT NULL`,
  ],
  [
    // Waiting jobs stand in lines, and nothing that has ended is read again.
    `ALTER TABLE jobs ADD COLUMN line TEXT`,
    `UPDATE jobs SET line = ${LINE}
       WHERE ${ACTIVE} AND id NOT IN (SELECT job FROM leases) AND id NOT IN (SELECT key FROM due WHERE kind = 'wake')`,
    `DROP INDEX jobs_queue`,
    `ALTER TABLE jobs DROP COLUMN phase`,
    `CREATE INDEX jobs_line ON jobs (line, target, ready) WHERE line IS NOT NULL`,
    `CREATE INDEX jobs_waiting ON jobs (project, ready) WHERE line IS NOT NULL`,
    `CREATE INDEX jobs_active_run ON jobs (run, target, ready) WHERE run IS NOT NULL AND ${ACTIVE}`,
    `CREATE INDEX jobs_evaluation ON jobs (evaluation) WHERE evaluation IS NOT NULL`,
    `CREATE INDEX jobs_retry ON jobs (retry_of) WHERE retry_of IS NOT NULL`,
    `CREATE INDEX jobs_export ON jobs (subject) WHERE kind = 'export'`,
    `CREATE TABLE active (project TEXT PRIMARY KEY, jobs INTEGER NOT NULL) WITHOUT ROWID`,
    `INSERT INTO active SELECT project, count(*) FROM jobs WHERE ${ACTIVE} GROUP BY project`,
    `ALTER TABLE leases ADD COLUMN ends INTEGER NOT NULL DEFAULT 0`,
    `UPDATE leases SET ends = min(until, tick_at + deadline_ms)`,
    `CREATE INDEX leases_ends ON leases (ends)`,
    `DELETE FROM due WHERE kind = 'lease'`,
    `CREATE INDEX workers_connected ON workers (boot) WHERE socket IS NOT NULL`,
    `CREATE INDEX workers_project ON workers (project, boot) WHERE socket IS NOT NULL`,
    `CREATE INDEX workers_key ON workers ("key") WHERE socket IS NOT NULL`,
    `CREATE INDEX workers_gone ON workers ("key", name, seen_at) WHERE socket IS NULL`,
    `CREATE INDEX workers_seen ON workers (seen_at) WHERE socket IS NULL`,
    `CREATE INDEX states_chain ON states (run, kind, step) WHERE superseded = 0`,
    `CREATE INDEX candidates_best ON candidates (run, value DESC, step)`,
    `DROP TABLE round`,
    // Whose checkpoints are read by what has not ended.
    `CREATE TABLE readers (run TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (run, owner)) WITHOUT ROWID`,
    `CREATE INDEX readers_owner ON readers (owner)`,
    ...[
      `SELECT payload AS text, job AS owner FROM bodies WHERE job IN (SELECT id FROM jobs WHERE ${ACTIVE})`,
      `SELECT payload AS text, id AS owner FROM evaluations
         WHERE id IN (SELECT evaluation FROM jobs WHERE evaluation IS NOT NULL AND ${ACTIVE})`,
      `SELECT spec AS text, id AS owner FROM runs WHERE status IN ('queued', 'running', 'ready')`,
    ].map(
      (reading) => `INSERT OR IGNORE INTO readers SELECT runs.id, reading.owner FROM runs, (${reading}) AS reading
        WHERE reading.owner <> runs.id AND instr(reading.text, runs.project || '/' || runs.id || '/') > 0`,
    ),
  ],
];

export const STORE_VERSION = STEPS.length;

/** Name of the counter that holds the version; a store of 0.1.0 has none. */
const VERSION = "store_version";

const Value = z.object({ value: z.int() });

/** Null: the store is empty, or of 0.1.0, whose tables may not all be there. */
function versionOf(sql: SqlStorage): number | null {
  const made = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'counters'").toArray().length > 0;
  const [row] = made ? sql.exec("SELECT value FROM counters WHERE name = ?", VERSION).toArray() : [];
  return row === undefined ? null : Value.parse(row).value;
}

/** Makes the tables, or brings older ones here: each step whole, so that what is interrupted goes on at the next start.
 * Throws where a newer version has written to the store. */
export function migrate(storage: Pick<DurableObjectStorage, "sql" | "transactionSync">): void {
  const { sql } = storage;
  const found = versionOf(sql);
  if (found === null) for (const statement of FIRST_SCHEMA) sql.exec(statement);
  const version = found ?? 0;
  if (version > STORE_VERSION) {
    throw new Error(
      `the pool's store is of version ${version}, and this code knows ${STORE_VERSION}: deploy the newer code again`,
    );
  }
  for (const [index, statements] of STEPS.entries()) {
    if (index < version) continue;
    storage.transactionSync(() => {
      for (const statement of statements) sql.exec(statement);
      sql.exec("INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)", VERSION, index + 1);
    });
  }
}
