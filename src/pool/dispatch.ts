// A scheduling pass: reads the queue and the workers, asks the policy, and leases in the same transaction.
import { z } from "zod";
import { FINGERPRINT_WAIT_MS, LEASE_MS, LOADED_MODELS, MAX_INLINE_BYTES, SPAN_BATCHES } from "../config.ts";
import type { Env } from "../env.ts";
import type { Lease } from "../wire/pool.ts";
import { Payload } from "../wire/payloads.ts";
import type { TrainPayload } from "../wire/payloads.ts";
import type { AnyEvaluation } from "../wire/preference-evaluations.ts";
import { ownerOf } from "./endings.ts";
import { isolate } from "./isolate.ts";
import { beginLease, engineDeadlineMs, leaseEndsAt } from "./lease.ts";
import { openLineage } from "./lineage.ts";
import { spanOf, stepSeconds } from "./queue.ts";
import { recordEvaluation, recordJob, refreshRun } from "./record.ts";
import { laneOf, ownSeats, schedule } from "./schedule.ts";
import type { CandidateRun, Grant, Seat } from "./schedule.ts";
import { batchSpan } from "./span.ts";
import type { TrainSpan } from "./span.ts";
import { terminal } from "./states.ts";
import { runLine } from "./tables/jobs.ts";
import type { JobRow } from "./tables/jobs.ts";
import type { RunRow } from "./tables/runs.ts";
import type { WorkerRow } from "./tables/workers.ts";
import type { Turn } from "./turn.ts";

const Milliseconds = z.coerce.number().int().min(0);

/** How long a run waits for a worker of its own fingerprint. */
export const fingerprintWaitMs = ({ FINGERPRINT_WAIT_MS: said }: Pick<Env, "FINGERPRINT_WAIT_MS">): number =>
  said ? Milliseconds.parse(said) : FINGERPRINT_WAIT_MS;

/** Runs whose wait for a worker of their own is noted in one pass. */
const NOTED_AT_ONCE = 5;

/** One scheduling pass, which leases one job at the most. Whether there is more to do. */
export function dispatch(turn: Turn): boolean {
  const { overview } = turn;
  const fresh = overview.refresh(turn);
  // Not every worker is known yet: who holds a run may be among the others.
  if (!overview.seated || turn.tables.stale.boots.size > 0) return true;
  const { seats } = overview;
  const noted = markWaiting(turn, seats);
  const clock = { now: turn.now, fingerprintWaitMs: turn.fingerprintWaitMs };
  const { grants, round, wakeAt } = schedule(overview.queue, seats, overview.round, { ...clock, most: 1 });
  for (const grant of grants) if (isolate(turn, grant.job, () => lease(turn, grant))) overview.round = round;
  if (wakeAt !== overview.wakeAt) {
    overview.wakeAt = wakeAt;
    if (wakeAt === null) turn.tables.due.clear("wake", "");
    else turn.tables.due.set("wake", "", wakeAt);
  }
  return !fresh || !noted || grants.length > 0;
}

/** Before its first step a run has no fingerprint. */
const began = ({ fingerprint }: CandidateRun): boolean => fingerprint !== null;

/** Notes since when runs have been without a worker of their own fingerprint. Whether all are noted. */
function markWaiting(turn: Turn, seats: readonly Seat[]): boolean {
  let left = NOTED_AT_ONCE;
  for (const candidate of turn.overview.queue) {
    const { run } = candidate;
    if (run === null || !began(run)) continue;
    const waitingSince = ownSeats(candidate, seats).length > 0 ? null : (run.waitingSince ?? turn.now);
    if (waitingSince === run.waitingSince) continue;
    if (left === 0) return false;
    left -= 1;
    turn.tables.runs.patch({ waiting_since: waitingSince }, "id = ?", run.id);
    turn.overview.note(runLine(run.id), { run: { ...run, waitingSince } });
  }
  return true;
}

function lease(turn: Turn, grant: Grant): void {
  const { jobs, runs, workers, fences } = turn.tables;
  const job = jobs.get(grant.job);
  const worker = workers.get(grant.boot);
  if (job === null || worker === null) throw new Error(`granted ${grant.job} to ${grant.boot}, of which one is gone`);
  if (terminal(job.status)) throw new Error(`granted ${job.id}, which is ${job.status}`);
  const { digest: fingerprint, engine } = worker.fingerprint;
  const before = job.run === null ? null : runs.get(job.run);
  if (before !== null) {
    if (grant.newLineage) openLineage(turn, before, worker.fingerprint);
    else if (before.head === 0) runs.update(before.id, { fingerprint, engine });
  }
  const run = job.run === null ? null : runs.get(job.run);
  const { fence, kept } = fences.take(ownerOf(job), worker.boot);
  const medianSeconds = run === null ? null : stepSeconds(turn, run.id);
  const span = run === null ? null : spanOf(turn, job, run, { kept, medianSeconds });
  if (job.kind === "complete") turn.tables.deltas.remove("job = ?", job.id);
  const attempts = kept ? Math.max(1, job.attempts) : job.attempts + 1;
  jobs.update(job.id, { status: "running", attempts, line: null });
  openLease(turn, { job, worker, fence, attempt: attempts, span, deadlineMs: engineDeadlineMs(medianSeconds) });
  turn.send(worker.boot, leaseFrame(turn, { job, run, fence, attempt: attempts, span }));
  remember(turn, worker, job);
  recordJob(turn, job.id);
  if (run !== null) refreshRun(turn, run.id);
  if (job.evaluation !== null) beginEvaluation(turn, job.evaluation);
}

function beginEvaluation(turn: Turn, id: string): void {
  const { evaluations } = turn.tables;
  const row = evaluations.get(id);
  if (row?.body.status !== "queued") return;
  const body: AnyEvaluation = { ...row.body, status: "running" };
  evaluations.patch({ body }, "id = ?", id);
  recordEvaluation(turn, { ...row, body });
}

function openLease(
  turn: Turn,
  held: { job: JobRow; worker: WorkerRow; fence: number; attempt: number; span: TrainSpan | null; deadlineMs: number },
): void {
  const { job, worker, fence, attempt, span, deadlineMs } = held;
  const clock = beginLease(turn.now, deadlineMs);
  turn.tables.leases.insert({
    job: job.id,
    owner: ownerOf(job),
    boot: worker.boot,
    lane: laneOf(job.kind),
    fence,
    attempt,
    from: span?.from ?? 0,
    to: span?.to ?? 0,
    ...clock,
    ends: leaseEndsAt(clock),
  });
}

/** What a later job of the same models would find in memory. */
function remember(turn: Turn, worker: WorkerRow, job: JobRow): void {
  const loaded = [...worker.loaded.filter((model) => !job.models.includes(model)), ...job.models].slice(-LOADED_MODELS);
  if (loaded.join() !== worker.loaded.join()) turn.tables.workers.update(worker.boot, { loaded });
}

interface Leased {
  job: JobRow;
  run: RunRow | null;
  fence: number;
  attempt: number;
  span: TrainSpan | null;
}

function leaseFrame(turn: Turn, leased: Leased): Lease {
  const { job, run, fence, attempt, span } = leased;
  return {
    type: "lease",
    job: job.id,
    project: job.project,
    attempt,
    fence,
    lineage: run?.lineage ?? null,
    ttl_ms: LEASE_MS,
    ...payloadOf(turn, job, run, span),
  };
}

function payloadOf(
  turn: Turn,
  job: JobRow,
  run: RunRow | null,
  span: TrainSpan | null,
): Pick<Lease, "payload" | "artifact"> {
  if (run !== null && span !== null) return { payload: trainPayload(turn, run, span), artifact: null };
  if (job.evaluation !== null) return { payload: batchPayload(turn, job.evaluation), artifact: null };
  const body = turn.tables.bodies.asked(job.id);
  return { payload: body.payload, artifact: body.payload_blob };
}

function trainPayload(turn: Turn, run: RunRow, span: TrainSpan): TrainPayload {
  const { steps, states, samples } = turn.tables;
  const resume = states.resumes(run.id).find((row) => row.step < span.from)?.state ?? null;
  const last = span.from - 1;
  return {
    kind: "train",
    run: run.id,
    spec: run.spec,
    from: span.from,
    to: span.to,
    head_hash: last === 0 ? null : (steps.at(run.id, last)?.hash ?? null),
    plan: run.plan,
    rows: run.rows,
    resume,
    hashes: steps.hashes(run.id, resume?.step ?? 0, last),
    checkpoint_at: span.checkpointAt,
    samples: samples.after(run.id, resume?.step ?? 0).map(({ source, n, blob }) => ({ source, n, blob })),
  };
}

function batchPayload(turn: Turn, id: string): Payload {
  const { evaluations, batches } = turn.tables;
  const row = evaluations.get(id);
  if (row === null) throw new Error(`evaluation ${id} is gone`);
  const open = batchSpan(batches.open(id, SPAN_BATCHES), MAX_INLINE_BYTES);
  // Parsed: which items go with which payload is what its kind says.
  return Payload.parse({ ...row.payload, batches: open.map(({ batch, items }) => ({ batch, items })) });
}
