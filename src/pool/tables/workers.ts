// Workers by boot, and which jobs each has refused.
import { z } from "zod";
import { Capabilities, Fingerprint, Hello } from "../../wire/pool.ts";
import type { Stale } from "./stale.ts";
import { Table, flag, json, time } from "./table.ts";
import type { Door } from "./table.ts";

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

const BootSocket = z.object({ boot: z.string(), socket: z.string() });
const Socket = z.object({ socket: z.string().nullable() });
const RefusalRow = z.object({ job: z.string(), boot: z.string() });

export class Workers extends Table<typeof WorkerRow> {
  readonly #stale: Stale;

  constructor(door: Door, stale: Stale) {
    super(door, "workers", WorkerRow);
    this.#stale = stale;
  }

  get(boot: string): WorkerRow | null {
    return this.one("boot = ?", boot);
  }

  override put(row: WorkerRow): void {
    super.put(row);
    this.#stale.boot(row.boot);
  }

  update(boot: string, fields: Partial<WorkerRow>): void {
    this.patch(fields, "boot = ?", boot);
    this.#stale.boot(boot);
  }

  /** It has spoken: nothing that a schedule depends on. */
  seen(boot: string, at: number): void {
    this.patch({ seen_at: at }, "boot = ?", boot);
  }

  /** Boots of this key and name that are gone, the latest first: where another one takes the name, their process has ended. */
  predecessors(key: string, name: string, limit: number): WorkerRow[] {
    const gone = `"key" = ? AND name = ? AND socket IS NULL`;
    return this.all(`${gone} ORDER BY seen_at DESC LIMIT ?`, key, name, limit);
  }

  /** Forgets some that have been gone since before `seen`. */
  forget(seen: number, limit: number): void {
    const gone = "SELECT boot FROM workers WHERE socket IS NULL AND seen_at < ? ORDER BY seen_at LIMIT ?";
    this.remove(`boot IN (${gone})`, seen, limit);
  }

  /** The key is gone: nobody speaks for its boots any more. They, and their sockets. */
  disconnect(key: string, at: number): { boot: string; socket: string }[] {
    const connected = `SELECT boot, socket FROM workers WHERE "key" = ? AND socket IS NOT NULL`;
    const found = this.query(connected, [key], BootSocket);
    this.patch({ socket: null, seen_at: at }, `"key" = ? AND socket IS NOT NULL`, key);
    for (const { boot } of found) this.#stale.boot(boot);
    return found;
  }

  /** The next that the project may see, its own or shared ones, in the order of their boots. */
  visibleAfter(project: string, boot: string, limit: number): WorkerRow[] {
    const page = (of: string): WorkerRow[] =>
      this.all("project = ? AND socket IS NOT NULL AND boot > ? ORDER BY boot LIMIT ?", of, boot, limit);
    const found = project === "" ? page("") : [...page(""), ...page(project)];
    return found.sort((a, b) => (a.boot < b.boot ? -1 : 1)).slice(0, limit);
  }

  socketOf(boot: string): string | null {
    return this.query("SELECT socket FROM workers WHERE boot = ?", [boot], Socket)[0]?.socket ?? null;
  }

  byId(id: string): WorkerRow | null {
    return this.one("id = ?", id);
  }

  /** The next that are connected, in the order of their boots, after one of them. */
  connectedAfter(boot: string, limit: number): WorkerRow[] {
    return this.all("socket IS NOT NULL AND boot > ? ORDER BY boot LIMIT ?", boot, limit);
  }
}

export class Refusals extends Table<typeof RefusalRow> {
  constructor(door: Door) {
    super(door, "refusals", RefusalRow);
  }

  of(job: string): string[] {
    return this.all("job = ?", job).map((row) => row.boot);
  }
}
