// Workers by boot, and which jobs each has refused.
import { z } from "zod";
import { Capabilities, Fingerprint, Hello } from "../../wire/pool.ts";
import { Table, flag, json, time } from "./table.ts";

const WorkerRow = z.object({
  boot: z.string(),
  id: z.string(),
  /** Id of the key that the boot is bound to. */
  key: z.string(),
  /** Empty: shared by all projects. */
  project: z.string(),
  name: z.string(),
  capabilities: json(Capabilities),
  fingerprint: json(Fingerprint),
  /** What is spoken with it. */
  protocol: z.int(),
  slots: z.int(),
  requests: z.int(),
  runs: json(Hello.shape.runs),
  /** Ids of the models that its last leases loaded, newest last. */
  loaded: json(z.array(z.string())),
  /** The socket that speaks for the boot; null while it is closed. */
  socket: z.string().nullable(),
  draining: flag,
  /** It let a lease expire with its socket open, and has said nothing since. */
  silent: flag,
  created_at: time,
  seen_at: time,
});
export type WorkerRow = z.output<typeof WorkerRow>;

const RefusalRow = z.object({ job: z.string(), boot: z.string() });

export class Workers extends Table<typeof WorkerRow> {
  constructor(sql: SqlStorage) {
    super(sql, "workers", WorkerRow);
  }

  get(boot: string): WorkerRow | null {
    return this.one("boot = ?", boot);
  }

  update(boot: string, fields: Partial<WorkerRow>): void {
    this.patch(fields, "boot = ?", boot);
  }

  /** Boots of this key and name that are gone: where another one takes the name, their process has ended. */
  predecessors(key: string, name: string): WorkerRow[] {
    return this.all(`"key" = ? AND name = ? AND socket IS NULL`, key, name);
  }

  connected(): WorkerRow[] {
    return this.all("socket IS NOT NULL ORDER BY created_at, boot");
  }

  /** Those that may be given work. */
  available(): WorkerRow[] {
    return this.all("socket IS NOT NULL AND draining = 0 AND silent = 0 ORDER BY created_at, boot");
  }
}

export class Refusals extends Table<typeof RefusalRow> {
  constructor(sql: SqlStorage) {
    super(sql, "refusals", RefusalRow);
  }

  of(job: string): string[] {
    return this.all("job = ?", job).map((row) => row.boot);
  }
}
