// Jobs: what stands in line, what was asked and answered, and what a streamed one has grown by.
import { z } from "zod";
import { BlobRef } from "../../wire/blobs.ts";
import { Failure, Status } from "../../wire/common.ts";
import { JobKind, Output, Payload } from "../../wire/payloads.ts";
import { Delta } from "../../wire/pool.ts";
import type { Stale } from "./stale.ts";
import { Table, flag, json, time } from "./table.ts";
import type { Door } from "./table.ts";

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
  /** Where it waits; null while it is leased, pauses, or has ended. */
  line: z.string().nullable(),
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
  /** Steps and items that are committed, of a job of spans. */
  done: z.int(),
  total: z.int(),
  error: json(Failure).nullable(),
});
export type JobRow = z.output<typeof JobRow>;

const BodyRow = z.object({
  job: z.string(),
  /** JSON of what was asked: the edge reads it, the pool never does. */
  request: z.string().nullable(),
  /** Null where `payload_blob` holds it, or where each lease makes it (train, generate). */
  payload: json(Payload).nullable(),
  payload_blob: json(BlobRef).nullable(),
  output: json(Output).nullable(),
  artifact: json(BlobRef).nullable(),
});
export type BodyRow = z.output<typeof BodyRow>;

const Asked = BodyRow.pick({ payload: true, payload_blob: true });
type Asked = z.output<typeof Asked>;
const Answered = BodyRow.pick({ request: true, output: true, artifact: true });
type Answered = z.output<typeof Answered>;

const DeltaRow = z.object({ job: z.string(), place: z.int(), pieces: json(Delta.shape.pieces) });

const ACTIVE = "status IN ('queued', 'running')";

/** The line in which a job waits: those of one line may go to the same workers. Of a run only one job is worked on. */
export function lineOf(
  job: Pick<JobRow, "project" | "kind" | "local_models" | "models" | "run">,
  refused: string[],
): string {
  if (job.run !== null) return runLine(job.run);
  const needs = `${job.project} ${job.kind} ${JSON.stringify(job.local_models)} ${JSON.stringify(job.models)}`;
  return refused.length === 0 ? needs : `${needs} !${[...refused].sort().join(" ")}`;
}

export const runLine = (run: string): string => `run ${run}`;

const Line = z.object({ line: z.string() });
const Named = z.object({ id: z.string() });
const Ready = z.object({ ready: z.int() });

export class Jobs extends Table<typeof JobRow> {
  readonly #stale: Stale;

  constructor(door: Door, stale: Stale) {
    super(door, "jobs", JobRow);
    this.#stale = stale;
  }

  get(id: string): JobRow | null {
    return this.one("id = ?", id);
  }

  override insert(row: JobRow): void {
    super.insert(row);
    if (row.line !== null) this.#stale.line(row.line);
  }

  update(id: string, fields: Partial<JobRow>): void {
    this.patch(fields, "id = ?", id);
    this.#stale.job(id);
    if (fields.line !== undefined && fields.line !== null) this.#stale.line(fields.line);
  }

  /** The first of a line: of a run's jobs the one that ends soonest. */
  head(line: string): JobRow | null {
    return this.one("line = ? ORDER BY target, ready", line);
  }

  /** The next lines in the order of their names, after one of them: a long line is not read whole. */
  linesAfter(line: string, limit: number): string[] {
    const next = "SELECT min(line) FROM jobs WHERE line IS NOT NULL AND line >";
    const found = this.query(
      `WITH RECURSIVE lines (line) AS (
         SELECT (${next} ?) UNION ALL SELECT (${next} lines.line) FROM lines WHERE lines.line IS NOT NULL LIMIT ?)
       SELECT line FROM lines WHERE line IS NOT NULL`,
      [line, limit],
      Line,
    );
    return found.map((row) => row.line);
  }

  /** How many of the project wait before it, counted so far. */
  waitingAhead(job: JobRow, most: number): number {
    const waiting = "line IS NOT NULL AND project = ? AND ready < ?";
    const found = this.query(`SELECT ready FROM jobs WHERE ${waiting} LIMIT ?`, [job.project, job.ready, most], Ready);
    return found.length;
  }

  /** Those of them that were cancelled. */
  cancelled(ids: readonly string[]): Set<string> {
    if (ids.length === 0) return new Set();
    const named = "FROM json_each(?) AS named CROSS JOIN jobs ON jobs.id = named.value";
    const found = this.query(`SELECT jobs.id ${named} WHERE status = 'cancelled'`, [JSON.stringify(ids)], Named);
    return new Set(found.map(({ id }) => id));
  }

  /** The run's job that ends soonest; of those that go no further than `target`. */
  soonest(run: string, target = Number.MAX_SAFE_INTEGER): JobRow | null {
    return this.one(`run = ? AND ${ACTIVE} AND target <= ? ORDER BY target, ready`, run, target);
  }

  /** Where the run's jobs go, the last of them; null where none is left. */
  furthest(run: string): number | null {
    return this.one(`run = ? AND ${ACTIVE} ORDER BY target DESC, ready DESC`, run)?.target ?? null;
  }

  /** Those that made artifacts of the run's checkpoints. */
  exportsOf(run: string, limit: number): JobRow[] {
    // "A" follows "@", with which the names of its checkpoints begin.
    return this.all("kind = 'export' AND subject >= ? AND subject < ? LIMIT ?", `${run}@`, `${run}A`, limit);
  }

  /** The job that was made in place of it. */
  retryOf(id: string): JobRow | null {
    return this.one("retry_of = ?", id);
  }

  suspectedOf(boot: string, limit: number): JobRow[] {
    return this.all(`suspect = ? AND ${ACTIVE} LIMIT ?`, boot, limit);
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

const ActiveRow = z.object({ project: z.string(), jobs: z.int() });

/** How many unfinished jobs each project has. */
export class Active extends Table<typeof ActiveRow> {
  constructor(door: Door) {
    super(door, "active", ActiveRow);
  }

  of(project: string): number {
    return this.one("project = ?", project)?.jobs ?? 0;
  }

  add(project: string, jobs: number): void {
    const total = this.of(project) + jobs;
    if (total > 0) this.put({ project, jobs: total });
    else this.remove("project = ?", project);
  }
}

/** What a streamed completion grew by, while it runs. */
export class Deltas extends Table<typeof DeltaRow> {
  constructor(door: Door) {
    super(door, "deltas", DeltaRow);
  }

  after(job: string, place: number) {
    return this.all("job = ? AND place > ? ORDER BY place", job, place);
  }

  next(job: string): number {
    return this.count("job = ?", job);
  }
}

export class Bodies extends Table<typeof BodyRow> {
  constructor(door: Door) {
    super(door, "bodies", BodyRow);
  }

  /** What a lease of the job carries. */
  asked(job: string): Asked {
    return this.#part(job, "payload, payload_blob", Asked);
  }

  /** What its caller reads. */
  answered(job: string): Answered {
    return this.#part(job, "request, output, artifact", Answered);
  }

  #part<R extends z.ZodType>(job: string, columns: string, row: R): z.output<R> {
    const [body] = this.query(`SELECT ${columns} FROM bodies WHERE job = ?`, [job], row);
    if (body === undefined) throw new Error(`job ${job} has no body`);
    return body;
  }
}
