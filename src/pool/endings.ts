// How jobs, runs and evaluations end, and what becomes of a job whose lease is over.
import type { Failure, Status } from "../wire/common.ts";
import type { BlobRef } from "../wire/blobs.ts";
import type { Output } from "../wire/payloads.ts";
import { counted, pauseMs, poisoned } from "./poison.ts";
import type { SetbackKind } from "./poison.ts";
import {
  ended,
  recordEvaluation,
  recordEvent,
  recordExport,
  recordScored,
  recordJob,
  recordModel,
  recordRun,
  refreshRun,
} from "./record.ts";
import { evaluationMay, jobMay, runMay, terminal } from "./states.ts";
import { lineOf } from "./tables/jobs.ts";
import type { JobRow } from "./tables/jobs.ts";
import type { LeaseRow } from "./tables/leases.ts";
import type { RunRow } from "./tables/runs.ts";
import type { Turn } from "./turn.ts";

export const ownerOf = (job: JobRow): string => job.run ?? job.id;

/** Ends the job's lease, if it has one, and returns it. `keep`: its holder goes on under the same fence. */
export function endLease(turn: Turn, job: JobRow, keep: boolean): LeaseRow | null {
  const { leases, fences } = turn.tables;
  const lease = leases.of(job.id);
  if (lease === null) return null;
  leases.end(lease);
  turn.tables.progress.delete(job.id);
  if (!keep) fences.release(lease.owner);
  turn.dispatch = true;
  return lease;
}

/** Ends the lease against the worker's will, and tells it. */
export function revokeLease(turn: Turn, job: JobRow): void {
  const lease = endLease(turn, job, false);
  if (lease !== null) turn.send(lease.boot, { type: "cancel", job: job.id, fence: lease.fence });
}

interface Ending {
  status: Extract<Status, "completed" | "failed" | "cancelled">;
  error: Failure | null;
  output?: Output | null;
  artifact?: BlobRef | null;
}

/** The job's one terminal state. */
function endJob(turn: Turn, job: JobRow, ending: Ending): void {
  const { jobs, active, bodies, deltas, fences, refusals, readers, due } = turn.tables;
  const before = jobs.get(job.id);
  if (before === null || !jobMay(before.status, ending.status)) return;
  revokeLease(turn, job);
  if (job.run === null) fences.release(job.id);
  jobs.update(job.id, { status: ending.status, error: ending.error, line: null });
  active.add(job.project, -1);
  bodies.patch({ output: ending.output ?? null, artifact: ending.artifact ?? null }, "job = ?", job.id);
  if (job.kind === "complete") {
    deltas.remove("job = ?", job.id);
    due.clear("reader", job.id);
  }
  refusals.remove("job = ?", job.id);
  readers.done(job.id);
  due.clear("wake", job.id);
  if (job.kind === "prepare" && ending.error !== null && job.subject !== null) {
    recordModel(turn, job.project, job.subject, { error: ending.error });
  }
  recordJob(turn, job.id);
}

export function completeJob(turn: Turn, job: JobRow, output: Output | null, artifact: BlobRef | null): void {
  endJob(turn, job, { status: "completed", error: null, output, artifact });
  if (output?.kind === "prepare" && job.subject !== null) {
    recordModel(turn, job.project, job.subject, { facts: output.facts });
  }
  if (output?.kind === "export") recordExport(turn, job, output);
  if (job.kind === "score" || job.kind === "compare") recordScored(turn, job);
  if (job.evaluation !== null) endEvaluation(turn, job.evaluation, "completed", null);
}

/** A failed job takes its run or its evaluation with it. */
export function failJob(turn: Turn, job: JobRow, error: Failure): void {
  endJob(turn, job, { status: "failed", error });
  if (job.run !== null) endRun(turn, job.run, "failed", error);
  if (job.evaluation !== null) endEvaluation(turn, job.evaluation, "failed", error);
}

/** A job that the pool itself cannot handle, though its run or evaluation may be what is unreadable. */
export function failUnleasable(turn: Turn, job: JobRow): void {
  const message = `the pool cannot lease job ${job.id}; its log says why`;
  const error: Failure = { code: "internal", message, retryable: true };
  if ("error" in turn.attempt(() => failJob(turn, job, error))) endJob(turn, job, { status: "failed", error });
}

/** A cancelled training job leaves its run ready for others; a cancelled evaluation job ends its evaluation. */
export function cancelJob(turn: Turn, job: JobRow): void {
  endJob(turn, job, { status: "cancelled", error: CANCELLED });
  if (job.run !== null) retarget(turn, job.run);
  if (job.evaluation !== null) endEvaluation(turn, job.evaluation, "cancelled", null);
}

const CANCELLED: Failure = { code: "cancelled", message: "cancelled on request", retryable: true };

function retarget(turn: Turn, id: string): void {
  const run = turn.tables.runs.get(id);
  if (run === null) return;
  turn.tables.runs.update(id, { target: Math.max(run.head, turn.tables.jobs.furthest(id) ?? 0) });
  refreshRun(turn, id);
}

export function endRun(
  turn: Turn,
  id: string,
  status: "completed" | "failed" | "cancelled",
  error: Failure | null,
): void {
  const { runs, jobs, leases, fences } = turn.tables;
  const run = runs.get(id);
  if (run === null || !runMay(run.status, status)) return;
  runs.update(id, { status, error, waiting_since: null });
  recordEvent(turn, id, { type: "status", data: { status, head: run.head, error } });
  const lease = leases.ofOwner(id);
  const leased = lease === null ? null : jobs.get(lease.job);
  if (leased !== null) endWith(turn, leased, status, error);
  fences.release(id);
  turn.tables.readers.done(id);
  recordRun(turn, id);
  settleEnded(turn, id, status, error);
}

/** What becomes of a job whose run has ended. */
function endWith(turn: Turn, job: JobRow, status: RunRow["status"], error: Failure | null): void {
  if (status === "cancelled") endJob(turn, job, { status, error: CANCELLED });
  else if (status === "failed") endJob(turn, job, { status, error });
}

/** A run may have a thousand jobs: so many end in one turn, and the others in the next ones. */
const SETTLED_AT_ONCE = 2;

function settleEnded(turn: Turn, id: string, status: RunRow["status"], error: Failure | null): void {
  if (status === "completed") return;
  for (let left = SETTLED_AT_ONCE; ; left -= 1) {
    const job = turn.tables.jobs.soonest(id);
    if (job === null) return;
    if (left === 0) break;
    endWith(turn, job, status, error);
  }
  turn.tables.due.set("settle", id, turn.now);
}

export function endEvaluation(
  turn: Turn,
  id: string,
  status: "completed" | "failed" | "cancelled",
  error: Failure | null,
): void {
  const { evaluations, batches } = turn.tables;
  const row = evaluations.get(id);
  if (row === null || !evaluationMay(row.body.status, status)) return;
  const body = { ...row.body, status, error };
  evaluations.patch({ body }, "id = ?", id);
  if (status === "completed") batches.remove("evaluation = ?", id);
  turn.tables.readers.done(id);
  recordEvaluation(turn, { ...row, body });
}

/** Completes what the run has reached, after a step, a checkpoint or a result. A job in a live lease completes with it. */
export function settleRun(turn: Turn, id: string): void {
  const { runs, jobs, leases, due } = turn.tables;
  const run = runs.get(id);
  if (run === null) return;
  if (ended(run)) {
    settleEnded(turn, id, run.status, run.error);
    return;
  }
  for (let left = SETTLED_AT_ONCE; ; left -= 1) {
    const job = jobs.soonest(id, run.head);
    if (job === null || leases.of(job.id) !== null || !reached(turn, run, job)) break;
    if (left === 0) {
      due.set("settle", id, turn.now);
      break;
    }
    completeJob(turn, job, { kind: "train", head: job.target ?? run.head, state_sha256: run.state_sha256 }, null);
  }
  const finished = run.state_sha256 !== null && run.head === run.spec.optimizer.total_steps;
  if (finished && jobs.soonest(id) === null) endRun(turn, id, "completed", null);
  else refreshRun(turn, id);
}

/** Whether nothing is missing any more: the steps, the checkpoint asked for, and at the run's end its digest. */
export function reached(turn: Turn, run: RunRow, job: JobRow): boolean {
  const target = job.target ?? 0;
  if (run.head < target) return false;
  const last = target === run.spec.optimizer.total_steps;
  if (last && run.state_sha256 === null) return false;
  return !(job.checkpoint || last) || turn.tables.states.checkpointAt(run.id, target) !== null;
}

export interface Setback {
  kind: SetbackKind;
  detail: string;
  /** Whether the boot that had it may have died at it: should its process turn out to have ended, that is a death. */
  suspect?: boolean;
}

/** The lease is over and the job is not: back to the queue, or given up. */
export function setBack(turn: Turn, job: JobRow, { kind, detail, suspect = false }: Setback): void {
  const boot = endLease(turn, job, false)?.boot ?? null;
  if (terminal(job.status)) return;
  const counts = counted(job, kind, detail);
  const marks = { failed_on: boot, suspect: suspect ? boot : null };
  turn.tables.jobs.update(job.id, { status: "queued", ...counts, ...marks });
  requeue(turn, job.id, pauseMs(kind, counts));
}

/** Jobs that one ended process is blamed for at once: it may have computed as many as it had leases. */
const BLAMED_AT_ONCE = 3;

/** A process has ended: each job that it computed when it vanished has cost a worker, not only a connection. */
export function blame(turn: Turn, boot: string): void {
  for (const job of turn.tables.jobs.suspectedOf(boot, BLAMED_AT_ONCE)) {
    const { deaths, interruptions } = job;
    turn.tables.jobs.update(job.id, { deaths: deaths + 1, interruptions: interruptions - 1, suspect: null });
    if (turn.tables.leases.of(job.id) === null) requeue(turn, job.id, 0);
  }
}

/** A span is over, the job goes on: to the back of the queue, so that others get their turn. */
export function carryOn(turn: Turn, job: JobRow): void {
  endLease(turn, job, true);
  turn.tables.jobs.update(job.id, { ready: turn.tables.counters.next("ready"), ready_at: turn.now });
  requeue(turn, job.id, 0);
}

function requeue(turn: Turn, id: string, waitMs: number): void {
  const { jobs, due } = turn.tables;
  const job = jobs.get(id);
  if (job === null) return;
  if (job.run !== null) settleRun(turn, job.run);
  if (jobs.get(id)?.status === "completed") return;
  const failure = poisoned(job);
  if (failure !== null) {
    failJob(turn, job, failure);
    return;
  }
  if (waitMs > 0) {
    jobs.update(id, { not_before: turn.now + waitMs });
    due.set("wake", id, turn.now + waitMs);
  } else {
    standInLine(turn, job);
  }
  recordJob(turn, id);
}

/** From now on the job may be leased. */
export function standInLine(turn: Turn, job: JobRow): void {
  const refused = job.run === null ? turn.tables.refusals.of(job.id) : [];
  turn.tables.jobs.update(job.id, { line: lineOf(job, refused) });
  turn.dispatch = true;
}
