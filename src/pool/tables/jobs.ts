// Jobs, their bodies, and the leases and fences by which workers hold them.
import { z } from "zod";
import { BlobRef } from "../../wire/blobs.ts";
import { Failure, Status } from "../../wire/common.ts";
import { JobKind, Output, Payload } from "../../wire/payloads.ts";
import { Delta } from "../../wire/pool.ts";
import { Table, flag, json, time } from "./table.ts";

/** A job without its body, so that scheduling reads small rows. */
export const JobRow = z.object({
  id: z.string(),
  project: z.string(),
  kind: JobKind,
  status: Status,
  digest: z.string(),
  subject: z.string().nullable(),
  retry_of: z.string().nullable(),
  run: z.string().nullable(),
  evaluation: z.string().nullable(),
  /** Where a train job goes, and whether it asked for a checkpoint there. */
  target: z.int().nullable(),
  checkpoint: flag,
  local_models: json(z.array(z.string())),
  models: json(z.array(z.string())),
  cost: z.number(),
  created_at: time,
  /** Place in the queue, and since when. */
  ready: z.int(),
  ready_at: time,
  not_before: time,
  /** Holders so far; setbacks since it last advanced. */
  attempts: z.int(),
  failures: z.int(),
  deaths: z.int(),
  interruptions: z.int(),
  /** What the setbacks said, the last one first. */
  last_error: z.string().nullable(),
  /** The boot that it last came to grief on. */
  failed_on: z.string().nullable(),
  /** The boot that vanished while it computed the job. */
  suspect: z.string().nullable(),
  phase: z.string().nullable(),
  done: z.int(),
  total: z.int(),
  error: json(Failure).nullable(),
});
export type JobRow = z.output<typeof JobRow>;

const BodyRow = z.object({
  job: z.string(),
  request: json(z.unknown()).nullable(),
  /** Null where `payload_blob` holds it, or where each lease makes it (train, generate). */
  payload: json(Payload).nullable(),
  payload_blob: json(BlobRef).nullable(),
  output: json(Output).nullable(),
  artifact: json(BlobRef).nullable(),
});
export type BodyRow = z.output<typeof BodyRow>;

const DeltaRow = z.object({ job: z.string(), place: z.int(), pieces: json(Delta.shape.pieces) });

/** Requests never wait behind long jobs: a worker has room for each of the two. */
export const Lane = z.enum(["long", "requests"]);
export type Lane = z.infer<typeof Lane>;

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
  closed: flag,
});
export type LeaseRow = z.output<typeof LeaseRow>;

const FenceRow = z.object({ owner: z.string(), fence: z.int(), holder: z.string().nullable() });

const ACTIVE = "status IN ('queued', 'running')";

/** Neither its own lease, nor another job's lease of the same run. */
const UNLEASED = "NOT EXISTS (SELECT 1 FROM leases WHERE leases.owner = coalesce(jobs.run, jobs.id))";
/** What decides where a job may go. */
const NEEDS = `project, kind, local_models, models, run,
  CASE WHEN EXISTS (SELECT 1 FROM refusals WHERE refusals.job = jobs.id) THEN id END`;

export class Jobs extends Table<typeof JobRow> {
  constructor(sql: SqlStorage) {
    super(sql, "jobs", JobRow);
  }

  get(id: string): JobRow | null {
    return this.one("id = ?", id);
  }

  update(id: string, fields: Partial<JobRow>): void {
    this.patch(fields, "id = ?", id);
  }

  /** Jobs that may be leased now, longest ready first: of those that need the same, only as many as there is room for,
   * and of a run's only the one that ends soonest. A long queue is not read whole. */
  waiting(now: number, room: number): JobRow[] {
    return this.all(
      `id IN (
         SELECT id FROM (
           SELECT id, run, row_number() OVER (PARTITION BY ${NEEDS} ORDER BY target, ready) AS place
           FROM jobs WHERE ${ACTIVE} AND ${UNLEASED} AND not_before <= ?)
         WHERE place <= CASE WHEN run IS NULL THEN ? ELSE 1 END)
       ORDER BY ready`,
      now,
      room,
    );
  }

  /** Whether the pool's own worker is wanted. */
  edgeWaits(): boolean {
    return this.count(`kind = 'generate_edge' AND ${ACTIVE} AND ${UNLEASED}`) > 0;
  }

  waitingAhead(job: JobRow): number {
    return this.count(`${ACTIVE} AND project = ? AND ready < ? AND ${UNLEASED}`, job.project, job.ready);
  }

  active(project: string): number {
    return this.count(`${ACTIVE} AND project = ?`, project);
  }

  activeOfRun(run: string): JobRow[] {
    return this.all(`run = ? AND ${ACTIVE} ORDER BY target, ready`, run);
  }

  /** Those that made artifacts of the run's checkpoints. */
  exportsOf(run: string): JobRow[] {
    return this.all("kind = 'export' AND instr(subject, ?) = 1", `${run}@`);
  }

  suspectedOf(boot: string): JobRow[] {
    return this.all(`suspect = ? AND ${ACTIVE}`, boot);
  }

  /** The job that already goes to this step, or went. */
  towards(run: string, target: number): JobRow | null {
    return this.one(
      "run = ? AND target = ? AND status IN ('queued', 'running', 'completed') ORDER BY created_at",
      run,
      target,
    );
  }
}

/** What a streamed completion grew by, while it runs. */
export class Deltas extends Table<typeof DeltaRow> {
  constructor(sql: SqlStorage) {
    super(sql, "deltas", DeltaRow);
  }

  after(job: string, place: number) {
    return this.all("job = ? AND place > ? ORDER BY place", job, place);
  }

  next(job: string): number {
    return this.count("job = ?", job);
  }
}

export class Bodies extends Table<typeof BodyRow> {
  constructor(sql: SqlStorage) {
    super(sql, "bodies", BodyRow);
  }

  get(job: string): BodyRow {
    const body = this.one("job = ?", job);
    if (body === null) throw new Error(`job ${job} has no body`);
    return body;
  }

  /** Unfinished jobs that read blobs under this prefix. */
  readers(prefix: string): number {
    return this.count(`instr(payload, ?) > 0 AND job IN (SELECT id FROM jobs WHERE ${ACTIVE})`, prefix);
  }
}

export class Leases extends Table<typeof LeaseRow> {
  constructor(sql: SqlStorage) {
    super(sql, "leases", LeaseRow);
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
  held(boot: string): Record<Lane, number> {
    const count = (lane: Lane): number => this.count("boot = ? AND lane = ?", boot, lane);
    return { long: count("long"), requests: count("requests") };
  }
}

export class Fences extends Table<typeof FenceRow> {
  constructor(sql: SqlStorage) {
    super(sql, "fences", FenceRow);
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
  }

  heldBy(boot: string): string[] {
    return this.all("holder = ?", boot).map((row) => row.owner);
  }
}
