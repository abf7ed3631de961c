// A scheduling pass: reads the queue and the workers, asks the policy, and leases in the same transaction.
import { LEASE_MS, LOADED_MODELS, MAX_INLINE_BYTES, SPAN_BATCHES } from "../config.ts";
import type { Lease } from "../wire/pool.ts";
import { Payload } from "../wire/payloads.ts";
import type { TrainPayload } from "../wire/payloads.ts";
import type { AnyEvaluation } from "../wire/preference-evaluations.ts";
import { ownerOf } from "./endings.ts";
import { isolate } from "./isolate.ts";
import { beginLease, engineDeadlineMs, leaseEndsAt } from "./lease.ts";
import { openLineage } from "./lineage.ts";
import { leaseCost, needsOf, seatOf, spanOf, stepSeconds } from "./queue.ts";
import { recordEvaluation, recordJob, refreshRun } from "./record.ts";
import { laneOf, ownSeats, schedule } from "./schedule.ts";
import type { Candidate, Grant, Round, Seat } from "./schedule.ts";
import { batchSpan } from "./span.ts";
import type { TrainSpan } from "./span.ts";
import type { JobRow } from "./tables/jobs.ts";
import type { RunRow } from "./tables/runs.ts";
import type { WorkerRow } from "./tables/workers.ts";
import type { Turn } from "./turn.ts";

/** Passes again where a job proved broken: its worker is free for the next. */
export function dispatch(turn: Turn): void {
  while (!pass(turn));
}

/** Whether all went well. */
function pass(turn: Turn): boolean {
  const { jobs, workers, due } = turn.tables;
  const seats = workers.available().map((worker) => seatOf(turn, worker));
  const room = seats.reduce((sum, { free }) => sum + free.long + free.requests, 0);
  const queue: Candidate[] = [];
  const read = jobs.waiting(turn.now, room).map((job) => {
    return isolate(turn, job.id, () => {
      queue.push(markWaiting(turn, { ...needsOf(turn, job), cost: leaseCost(turn, job) }, seats));
    });
  });
  const clock = { now: turn.now, fingerprintWaitMs: turn.fingerprintWaitMs };
  const { grants, round, wakeAt } = schedule(queue, seats, loadRound(turn), clock);
  const leased = grants.map((grant) => isolate(turn, grant.job, () => lease(turn, grant)));
  if (grants.length > 0) saveRound(turn, round);
  if (wakeAt === null) due.clear("wake", "");
  else due.set("wake", "", wakeAt);
  return read.every(Boolean) && leased.every(Boolean);
}

/** Notes since when a run has been without a worker of its own fingerprint. */
function markWaiting(turn: Turn, candidate: Candidate, seats: readonly Seat[]): Candidate {
  const { run } = candidate;
  const fingerprint = run?.fingerprint ?? null;
  if (run === null || fingerprint === null) return candidate;
  const waitingSince = ownSeats(candidate, seats).length > 0 ? null : (run.waitingSince ?? turn.now);
  if (waitingSince !== run.waitingSince) turn.tables.runs.update(run.id, { waiting_since: waitingSince });
  return { ...candidate, run: { ...run, waitingSince } };
}

function loadRound(turn: Turn): Round {
  const rows = turn.tables.round.all("true");
  return {
    deficits: Object.fromEntries(rows.map((row) => [row.project, row.deficit])),
    turn: rows.find((row) => row.last)?.project ?? null,
  };
}

function saveRound(turn: Turn, { deficits, turn: last }: Round): void {
  const { round } = turn.tables;
  round.remove("true");
  for (const [project, deficit] of Object.entries(deficits)) round.insert({ project, deficit, last: project === last });
}

function lease(turn: Turn, grant: Grant): void {
  const { jobs, runs, workers, fences } = turn.tables;
  const job = jobs.get(grant.job);
  const worker = workers.get(grant.boot);
  if (job === null || worker === null) throw new Error(`granted ${grant.job} to ${grant.boot}, of which one is gone`);
  const { digest: fingerprint, engine } = worker.fingerprint;
  const before = job.run === null ? null : runs.get(job.run);
  if (before !== null) {
    if (grant.newLineage) openLineage(turn, before, worker.fingerprint);
    else if (before.head === 0) runs.update(before.id, { fingerprint, engine });
  }
  const run = job.run === null ? null : runs.get(job.run);
  const { fence, kept } = fences.take(ownerOf(job), worker.boot);
  const span = run === null ? null : spanOf(turn, job, run, kept);
  turn.tables.deltas.remove("job = ?", job.id);
  const attempts = kept ? Math.max(1, job.attempts) : job.attempts + 1;
  jobs.update(job.id, { status: "running", attempts });
  openLease(turn, { job, worker, fence, attempt: attempts, span });
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
  held: { job: JobRow; worker: WorkerRow; fence: number; attempt: number; span: TrainSpan | null },
): void {
  const { leases, due } = turn.tables;
  const { job, worker, fence, attempt, span } = held;
  const clock = beginLease(turn.now, engineDeadlineMs(job.run === null ? null : stepSeconds(turn, job.run)));
  leases.insert({
    job: job.id,
    owner: ownerOf(job),
    boot: worker.boot,
    lane: laneOf(job.kind),
    fence,
    attempt,
    from: span?.from ?? 0,
    to: span?.to ?? 0,
    ...clock,
  });
  due.set("lease", job.id, leaseEndsAt(clock));
}

/** What a later job of the same models would find in memory. */
function remember(turn: Turn, worker: WorkerRow, job: JobRow): void {
  const loaded = [...worker.loaded.filter((model) => !job.models.includes(model)), ...job.models];
  turn.tables.workers.update(worker.boot, { loaded: loaded.slice(-LOADED_MODELS) });
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
  const body = turn.tables.bodies.get(job.id);
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
