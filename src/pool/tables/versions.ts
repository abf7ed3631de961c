// The store's version, and the steps that bring an older store to it. A step that has been released is never changed.
import { z } from "zod";
import { REQUEST_KINDS } from "../../wire/payloads.ts";
import { FIRST_SCHEMA } from "./schema.ts";

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
];

export const STORE_VERSION = STEPS.length;

/** Name of the counter that holds the version; a store of 0.1.0 has none. */
const VERSION = "store_version";

const Value = z.object({ value: z.int() });

function versionOf(sql: SqlStorage): number {
  const [row] = sql.exec("SELECT value FROM counters WHERE name = ?", VERSION).toArray();
  return row === undefined ? 0 : Value.parse(row).value;
}

/** Makes the tables, or brings older ones here: each step whole, so that what is interrupted goes on at the next start.
 * Throws where a newer version has written to the store. */
export function migrate(storage: Pick<DurableObjectStorage, "sql" | "transactionSync">): void {
  const { sql } = storage;
  for (const statement of FIRST_SCHEMA) sql.exec(statement);
  const version = versionOf(sql);
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
