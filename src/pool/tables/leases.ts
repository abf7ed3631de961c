// Leases and fences: by which workers hold jobs and runs.
import { z } from "zod";
import { runLine } from "./jobs.ts";
import type { Stale } from "./stale.ts";
import { Table, time } from "./table.ts";
import type { Door } from "./table.ts";

/** Requests never wait behind long jobs: a worker has room for each of the two. */
export const Lane = z.enum(["long", "requests"]);
export type Lane = z.infer<typeof Lane>;

/** Of a lease's worker: its socket is open; it is closed; it has come back without the lease. */
export const Closed = z.codec(z.int(), z.enum(["open", "closed", "dropped"]), {
  decode: (value) => (value === 0 ? "open" : value === 1 ? "closed" : "dropped"),
  encode: (value) => ["open", "closed", "dropped"].indexOf(value),
});

const LeaseRow = z.object({
  job: z.string(),
  /** The run of a train job, else the job: what the fence is of. One live lease each. */
  owner: z.string(),
  boot: z.string(),
  lane: Lane,
  fence: z.int(),
  attempt: z.int(),
  /** First and last step of the span; 0 elsewhere. */
  from: z.int(),
  to: z.int(),
  until: time,
  tick: z.int(),
  tick_at: time,
  deadline_ms: z.int(),
  closed: Closed,
  /** When it is over unless it is renewed. */
  ends: time,
});
export type LeaseRow = z.output<typeof LeaseRow>;

const FenceRow = z.object({ owner: z.string(), fence: z.int(), holder: z.string().nullable() });

/** A boot's leases, counted. */
type Held = Record<Lane, number>;
const BootJob = z.object({ boot: z.string(), job: z.string() });
const HeldRow = z.object({ lane: Lane, n: z.int() });

export class Leases extends Table<typeof LeaseRow> {
  readonly #stale: Stale;
  /** Of boots that were asked for. */
  readonly #held = new Map<string, Held>();

  constructor(door: Door, stale: Stale) {
    super(door, "leases", LeaseRow);
    this.#stale = stale;
  }

  override insert(row: LeaseRow): void {
    super.insert(row);
    this.#changed(row, 1);
  }

  end(row: LeaseRow): void {
    this.remove("job = ?", row.job);
    this.#changed(row, -1);
  }

  #changed({ boot, owner, lane }: LeaseRow, by: number): void {
    const held = this.#held.get(boot);
    if (held !== undefined) held[lane] += by;
    this.#stale.boot(boot);
    this.#stale.line(runLine(owner));
  }

  /** After a rollback: what was counted meanwhile did not happen. */
  forget(): void {
    this.#held.clear();
  }

  of(job: string): LeaseRow | null {
    return this.one("job = ?", job);
  }

  ofOwner(owner: string): LeaseRow | null {
    return this.one("owner = ?", owner);
  }

  ofBoot(boot: string): LeaseRow[] {
    return this.all("boot = ?", boot);
  }

  /** How many the boot holds, of long jobs and of requests. */
  held(boot: string): Held {
    let held = this.#held.get(boot);
    if (held === undefined) {
      held = { long: 0, requests: 0 };
      const counts = "SELECT lane, count(*) AS n FROM leases WHERE boot = ? GROUP BY lane";
      for (const { lane, n } of this.query(counts, [boot], HeldRow)) held[lane] = n;
      this.#held.set(boot, held);
    }
    return held;
  }

  /** Those that are over by now, the oldest first; `all`: not only those that their workers have given up. */
  over(now: number, all: boolean, limit: number): LeaseRow[] {
    return this.all("ends <= ? AND (closed = 2 OR ?) ORDER BY ends LIMIT ?", now, all ? 1 : 0, limit);
  }

  /** What these workers hold is over. */
  dropAll(boots: readonly string[], now: number): void {
    const named = "boot IN (SELECT value FROM json_each(?))";
    this.patch({ until: now, ends: now, closed: "dropped" }, named, JSON.stringify(boots));
  }

  /** Those of these workers that are of the project's jobs. */
  ofProject(project: string, boots: readonly string[]): { boot: string; job: string }[] {
    const statement = `SELECT leases.boot, leases.job FROM json_each(?) AS named CROSS JOIN leases ON leases.boot = named.value
      CROSS JOIN jobs ON jobs.id = leases.job WHERE jobs.project = ?`;
    return this.query(statement, [JSON.stringify(boots), project], BootJob);
  }

  /** When the next one is over. */
  next(): number | null {
    return this.one("true ORDER BY ends")?.ends ?? null;
  }
}

const Owner = z.object({ owner: z.string() });

export class Fences extends Table<typeof FenceRow> {
  readonly #stale: Stale;

  constructor(door: Door, stale: Stale) {
    super(door, "fences", FenceRow);
    this.#stale = stale;
  }

  get(owner: string): { fence: number; holder: string | null } {
    return this.one("owner = ?", owner) ?? { fence: 0, holder: null };
  }

  /** The fence under which `boot` works from now on: raised unless it has held it without a break. */
  take(owner: string, boot: string): { fence: number; kept: boolean } {
    const { fence, holder } = this.get(owner);
    if (holder === boot) return { fence, kept: true };
    this.put({ owner, fence: fence + 1, holder: boot });
    return { fence: fence + 1, kept: false };
  }

  /** From now on nobody holds it: whatever still carries the fence is stale. */
  release(owner: string): void {
    this.patch({ holder: null }, "owner = ?", owner);
    this.#stale.line(runLine(owner));
  }

  /** The same of all that these boots hold. */
  releaseAll(boots: readonly string[]): void {
    const statement =
      "UPDATE fences SET holder = NULL WHERE holder IN (SELECT value FROM json_each(?)) RETURNING owner";
    for (const { owner } of this.query(statement, [JSON.stringify(boots)], Owner)) this.#stale.line(runLine(owner));
  }

  /** The same of all that the boot holds without a lease. */
  releaseIdle(boot: string): void {
    const idle = "holder = ? AND NOT EXISTS (SELECT 1 FROM leases WHERE leases.owner = fences.owner)";
    const statement = `UPDATE fences SET holder = NULL WHERE ${idle} RETURNING owner`;
    for (const { owner } of this.query(statement, [boot], Owner)) this.#stale.line(runLine(owner));
  }
}
