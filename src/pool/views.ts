// Rows as the wire shows them.
import type { Job, WorkerInfo } from "../wire/jobs.ts";
import type { Checkpoint, Run, Step } from "../wire/runs.ts";
import { comesWhenWanted } from "./api.ts";
import type { JobState, StoredCheckpoint } from "./api.ts";
import { needsOf } from "./queue.ts";
import { ownSeats } from "./schedule.ts";
import type { JobRow } from "./tables/jobs.ts";
import type { RunRow, StateRow, StepRow } from "./tables/runs.ts";
import type { WorkerRow } from "./tables/workers.ts";
import { iso } from "./turn.ts";
import type { Turn } from "./turn.ts";

/** A job without what depends on other jobs and workers: what its record keeps. */
export function jobRecord(turn: Turn, job: JobRow): Omit<Job, "result" | "position" | "workers_available" | "note"> {
  const said = turn.tables.progress.get(job.id);
  // A job of spans counts its own steps and items; of others only the worker knows how far they are.
  const { done, total } = said === undefined || job.run !== null || job.evaluation !== null ? job : said;
  return {
    id: job.id,
    object: "job",
    created_at: iso(job.created_at),
    kind: job.kind,
    status: job.status,
    attempts: job.attempts,
    progress: said === undefined ? null : { phase: said.phase, done, total },
    subject: job.subject,
    retry_of: job.retry_of,
    error: job.error,
  };
}

/** Jobs ahead that are counted: beyond it a queue is long, and how long nobody waits to see. */
const MOST_AHEAD = 200;

export function jobState(turn: Turn, job: JobRow): JobState {
  const { tables } = turn;
  const body = tables.bodies.answered(job.id);
  return {
    ...jobRecord(turn, job),
    position: job.status === "queued" ? tables.jobs.waitingAhead(job, MOST_AHEAD) : null,
    workers_available: comesWhenWanted(job.kind)
      ? 1
      : ownSeats(needsOf(turn, job), turn.overview.seatsNow(turn)).length,
    project: job.project,
    request: body.request,
    output: body.output,
    artifact: body.artifact,
  };
}

export function runView(turn: Turn, run: RunRow): Run {
  return {
    ...run.request,
    id: run.id,
    object: "run",
    created_at: iso(run.created_at),
    status: run.status,
    head: run.head,
    target: run.target,
    lineage: run.lineage,
    fence: turn.tables.fences.get(run.id).fence,
    head_hash: run.head_hash,
    state_sha256: run.state_sha256,
    lineage_breaks: run.breaks,
    rows: run.rows,
    rows_skipped: run.rows?.skipped ?? 0,
    best: turn.tables.candidates.best(run.id),
    error: run.error,
    student_layers: run.spec.student.layer_indices,
  };
}

export function stepView(step: StepRow): Step {
  return {
    id: `${step.run}@${step.n}${suffix(step.lineage)}`,
    object: "step",
    run: step.run,
    step: step.n,
    lineage: step.lineage,
    hash: step.hash,
    superseded: step.superseded,
    metrics: step.metrics,
    committed_at: iso(step.committed_at),
  };
}

export function checkpointId(row: { run: string; step: number; lineage: number }): string {
  return `${row.run}@${row.step}${suffix(row.lineage)}`;
}

export function checkpointView(row: StateRow): Checkpoint {
  const step = `${row.step}${suffix(row.lineage)}`;
  const files = row.state.files.map(({ name, bytes, sha256 }) => {
    return { name, bytes, sha256, href: `/v1/runs/${row.run}/checkpoints/${step}/files/${name}` };
  });
  return {
    id: checkpointId(row),
    object: "checkpoint",
    run: row.run,
    step: row.step,
    lineage: row.lineage,
    created_at: iso(row.created_at),
    sha256: row.state.sha256,
    files,
  };
}

export function storedCheckpoint(turn: Turn, run: RunRow, row: StateRow): StoredCheckpoint {
  return { checkpoint: checkpointView(row), state: row.state, run: runView(turn, run) };
}

/** The first lineage needs no suffix. */
function suffix(lineage: number): string {
  return lineage === 0 ? "" : `.${lineage}`;
}

/** `leases`: those of its jobs that the reader may see. */
export function workerInfo(worker: WorkerRow, leases: string[]): WorkerInfo {
  return {
    id: worker.id,
    object: "worker",
    name: worker.name,
    created_at: iso(worker.created_at),
    status: worker.draining ? "draining" : "connected",
    kinds: worker.capabilities.kinds,
    models: worker.capabilities.models,
    device: worker.capabilities.device,
    fingerprint: worker.fingerprint.digest,
    slots: worker.slots,
    requests: worker.requests,
    leases,
    last_seen_at: iso(worker.seen_at),
  };
}
