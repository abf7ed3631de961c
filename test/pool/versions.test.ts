// The object's store: made anew, brought here from an older version, refused where it is of a newer one.
import { runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { FIRST_SCHEMA } from "../../src/pool/tables/schema.ts";
import { STORE_VERSION, migrate } from "../../src/pool/tables/versions.ts";
import { freshPool } from "./harness.ts";

type Storage = Pick<DurableObjectStorage, "sql" | "transactionSync">;

const all = (storage: Storage, query: string): unknown[] => storage.sql.exec(query).toArray();
const schemaOf = (storage: Storage): unknown[] =>
  all(storage, "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY name");
const versionOf = (storage: Storage): unknown =>
  all(storage, "SELECT value FROM counters WHERE name = 'store_version'");

/** The tables as 0.1.0 left them, with two leases of one boot, a worker and a run. */
function asFirst({ sql }: Storage): void {
  const tables = sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'").toArray();
  for (const { name } of tables)
    if (!name.startsWith("_") && !name.startsWith("sqlite_")) sql.exec(`DROP TABLE ${name}`);
  for (const statement of FIRST_SCHEMA) sql.exec(statement);
  for (const [id, kind] of [
    ["job_s", "score"],
    ["job_t", "train"],
  ] as const) {
    sql.exec(
      `INSERT INTO jobs VALUES (?, 'p', ?, 'running', 'd', NULL, NULL, NULL, NULL, NULL, 0, '[]', '[]', 1, 1, 1, 1, 0, 1, 1, 0,
         NULL, NULL, NULL, 0, 0, NULL)`,
      id,
      kind,
    );
    sql.exec(`INSERT INTO leases VALUES (?, ?, 'boot', 1, 1, 0, 0, 9, 0, 1, 60000, 0)`, id, id);
  }
  sql.exec(
    `INSERT INTO workers VALUES ('boot', 'worker_1', 'k', '', 'w', '{}', '{}', 1, 64, '[]', '[]', NULL, 0, 0, 1, 1)`,
  );
  sql.exec(
    `INSERT INTO runs VALUES ('run_1', 'p', 'd', '{}', '{}', 1, 'running', 3, 'h', 5, 0, 'f', NULL, NULL, '[]', '[]', NULL, NULL, 0)`,
  );
}

test("an older store comes here by steps, keeps what it holds, and is then as a new one", async () => {
  await runInDurableObject(freshPool(), (_instance, { storage }) => {
    const fresh = schemaOf(storage);
    asFirst(storage);
    expect(versionOf(storage)).toEqual([]);
    migrate(storage);
    expect(versionOf(storage)).toEqual([{ value: STORE_VERSION }]);
    expect(schemaOf(storage)).toEqual(fresh);
    expect(all(storage, "SELECT job, lane FROM leases ORDER BY job")).toEqual([
      { job: "job_s", lane: "requests" },
      { job: "job_t", lane: "long" },
    ]);
    expect(all(storage, "SELECT boot, protocol FROM workers")).toEqual([{ boot: "boot", protocol: 1 }]);
    expect(all(storage, "SELECT id, head, engine FROM runs")).toEqual([{ id: "run_1", head: 3, engine: 0 }]);
    migrate(storage);
    expect(versionOf(storage)).toEqual([{ value: STORE_VERSION }]);
  });
});

test("a step that is interrupted anywhere is undone whole, and done at the next start", async () => {
  await runInDurableObject(freshPool(), (_instance, { storage }) => {
    const fresh = schemaOf(storage);
    // As each version was found when the first statement of the next step failed.
    const whole = new Map<string, unknown[]>();
    for (let allowed = 0; ; allowed += 1) {
      asFirst(storage);
      let left = FIRST_SCHEMA.length + 1 + allowed;
      const exec = (...args: Parameters<SqlStorage["exec"]>) => {
        if ((left -= 1) < 0) throw new Error("the machine went away");
        return storage.sql.exec(...args);
      };
      const failing = Object.assign(Object.create(storage.sql), { exec });
      const interrupted = { sql: failing, transactionSync: storage.transactionSync.bind(storage) };
      let ended = false;
      try {
        migrate(interrupted);
        ended = true;
      } catch {
        const version = JSON.stringify(versionOf(storage));
        if (!whole.has(version)) whole.set(version, schemaOf(storage));
        expect(schemaOf(storage)).toEqual(whole.get(version));
      }
      migrate(storage);
      expect(schemaOf(storage)).toEqual(fresh);
      if (ended) break;
    }
    expect(whole.size).toBe(STORE_VERSION);
  });
});

test("older code refuses a newer store, and leaves it alone", async () => {
  await runInDurableObject(freshPool(), (_instance, { storage }) => {
    storage.sql.exec("UPDATE counters SET value = ? WHERE name = 'store_version'", STORE_VERSION + 1);
    expect(() => migrate(storage)).toThrow(/deploy the newer code/);
    expect(versionOf(storage)).toEqual([{ value: STORE_VERSION + 1 }]);
    storage.sql.exec("UPDATE counters SET value = ? WHERE name = 'store_version'", STORE_VERSION);
  });
});
