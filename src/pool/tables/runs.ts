// Runs, their journal of steps, their stored states, their events, and who is shut out of them.
import { z } from "zod";
import { Failure } from "../../wire/common.ts";
import {
  CreateRun,
  LineageBreak,
  PlanEntry,
  Run,
  RowsReport,
  RunEvent,
  RunSpec,
  StepMetrics,
  StoredState,
} from "../../wire/runs.ts";
import { runLine } from "./jobs.ts";
import type { Stale } from "./stale.ts";
import { Table, flag, json, time } from "./table.ts";
import type { Door } from "./table.ts";

const RunRow = z.object({
  id: z.string(),
  project: z.string(),
  digest: z.string(),
  request: json(CreateRun),
  spec: json(RunSpec),
  created_at: time,
  status: Run.shape.status,
  head: z.int(),
  head_hash: z.string().nullable(),
  target: z.int(),
  lineage: z.int(),
  /** What the lineage is bit-exact within; null before its first step. */
  fingerprint: z.string().nullable(),
  /** The engine number of that fingerprint. */
  engine: z.int(),
  state_sha256: z.string().nullable(),
  rows: json(RowsReport).nullable(),
  plan: json(z.array(PlanEntry)),
  breaks: json(z.array(LineageBreak)),
  error: json(Failure).nullable(),
  /** Since when no worker of its fingerprint is there. */
  waiting_since: time.nullable(),
  /** Number of its last event. */
  sequence: z.int(),
});
export type RunRow = z.output<typeof RunRow>;

const StepRow = z.object({
  run: z.string(),
  lineage: z.int(),
  n: z.int(),
  prev: z.string(),
  hash: z.string(),
  superseded: flag,
  committed_at: time,
  metrics: json(StepMetrics),
});
export type StepRow = z.output<typeof StepRow>;

const StateRow = z.object({
  run: z.string(),
  kind: z.enum(["checkpoint", "resume"]),
  lineage: z.int(),
  step: z.int(),
  superseded: flag,
  created_at: time,
  state: json(StoredState),
});
export type StateRow = z.output<typeof StateRow>;

const EventRow = z.object({ run: z.string(), sequence: z.int(), event: json(RunEvent) });
const ShutoutRow = z.object({
  run: z.string(),
  boot: z.string(),
  fingerprint: z.string(),
  lineage: z.int(),
  n: z.int(),
});

/** Steps whose timing says how long the next ones take. */
const RECENT = 21;

export class Runs extends Table<typeof RunRow> {
  readonly #stale: Stale;

  constructor(door: Door, stale: Stale) {
    super(door, "runs", RunRow);
    this.#stale = stale;
  }

  get(id: string): RunRow | null {
    return this.one("id = ?", id);
  }

  update(id: string, fields: Partial<RunRow>): void {
    this.patch(fields, "id = ?", id);
    this.#stale.line(runLine(id));
  }
}

/** The journal. Rows that are not superseded form one chain over all lineages. */
export class Steps extends Table<typeof StepRow> {
  constructor(door: Door) {
    super(door, "steps", StepRow);
  }

  at(run: string, n: number): StepRow | null {
    return this.one("run = ? AND n = ? AND superseded = 0", run, n);
  }

  /** Hashes of the steps after `after`, up to and with `last`. */
  hashes(run: string, after: number, last: number): string[] {
    const rows = this.all("run = ? AND superseded = 0 AND n > ? AND n <= ? ORDER BY n", run, after, last);
    return rows.map((row) => row.hash);
  }

  recent(run: string): StepRow[] {
    return this.all(`run = ? AND superseded = 0 ORDER BY n DESC LIMIT ${RECENT}`, run);
  }

  after(run: string, step: number): StepRow[] {
    return this.all("run = ? AND superseded = 0 AND n > ? ORDER BY n", run, step);
  }
}

const Step = z.object({ step: z.int() });

export class States extends Table<typeof StateRow> {
  constructor(door: Door) {
    super(door, "states", StateRow);
  }

  checkpointAt(run: string, step: number): StateRow | null {
    return this.one("run = ? AND kind = 'checkpoint' AND step = ? AND superseded = 0", run, step);
  }

  /** By the lineage that made it, superseded or not. */
  checkpoint(run: string, lineage: number, step: number): StateRow | null {
    return this.one("run = ? AND kind = 'checkpoint' AND lineage = ? AND step = ?", run, lineage, step);
  }

  checkpoints(run: string): StateRow[] {
    return this.all("run = ? AND kind = 'checkpoint' AND superseded = 0 ORDER BY step", run);
  }

  /** Steps from `first` on whose checkpoint the present lineage has. */
  stored(run: string, first: number): number[] {
    const statement = "SELECT step FROM states WHERE run = ? AND kind = 'checkpoint' AND superseded = 0 AND step >= ?";
    return this.query(statement, [run, first], Step).map((row) => row.step);
  }

  /** Newest first. */
  resumes(run: string): StateRow[] {
    return this.all("run = ? AND kind = 'resume' ORDER BY step DESC", run);
  }
}

export class Events extends Table<typeof EventRow> {
  constructor(door: Door) {
    super(door, "events", EventRow);
  }
}

export class Shutouts extends Table<typeof ShutoutRow> {
  readonly #stale: Stale;

  constructor(door: Door, stale: Stale) {
    super(door, "shutouts", ShutoutRow);
    this.#stale = stale;
  }

  override put(row: z.output<typeof ShutoutRow>): void {
    super.put(row);
    this.#stale.line(runLine(row.run));
  }

  of(run: string): z.output<typeof ShutoutRow>[] {
    return this.all("run = ?", run);
  }
}
