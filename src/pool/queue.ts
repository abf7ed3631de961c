// The queue and the workers as the scheduler sees them, read from the tables.
import { FIRST_PROTOCOL_LEASES } from "../wire/pool.ts";
import type { Candidate, Seat } from "./schedule.ts";
import { trainSpan, median } from "./span.ts";
import type { TrainSpan } from "./span.ts";
import type { JobRow } from "./tables/jobs.ts";
import type { RunRow } from "./tables/runs.ts";
import type { WorkerRow } from "./tables/workers.ts";
import type { Turn } from "./turn.ts";

export function seatOf(turn: Turn, worker: WorkerRow): Seat {
  const { long, requests } = turn.tables.leases.held(worker.boot);
  const room =
    worker.protocol === 1 ? Math.min(worker.requests, FIRST_PROTOCOL_LEASES - worker.slots) : worker.requests;
  return {
    boot: worker.boot,
    project: worker.project,
    kinds: worker.capabilities.kinds,
    models: worker.capabilities.models,
    fingerprint: worker.fingerprint.digest,
    engine: worker.fingerprint.engine,
    protocol: worker.protocol,
    free: { long: Math.max(0, worker.slots - long), requests: Math.max(0, room - requests) },
    loaded: worker.loaded,
    runs: worker.runs,
  };
}

/** What the job needs of a worker, without what a lease of it would cost. */
export function needsOf(turn: Turn, job: JobRow): Omit<Candidate, "cost"> {
  const run = job.run === null ? null : turn.tables.runs.get(job.run);
  const shutouts = run === null ? [] : turn.tables.shutouts.of(run.id).map((row) => row.boot);
  return {
    job: job.id,
    project: job.project,
    kind: job.kind,
    localModels: job.local_models,
    models: job.models,
    readyAt: job.ready_at,
    failedOn: job.failed_on,
    protocol: run?.plan.some((entry) => entry.share_prefixes === true) === true ? 2 : 1,
    banned: [...turn.tables.refusals.of(job.id), ...shutouts],
    run:
      run === null
        ? null
        : {
            id: run.id,
            lineage: run.lineage,
            head: run.head,
            headHash: run.head_hash,
            fingerprint: run.fingerprint,
            engine: run.engine,
            holder: turn.tables.fences.get(run.id).holder,
            waitingSince: run.waiting_since,
          },
  };
}

/** Expected tokens of one lease: a span of steps, a span of batches, or the whole job. */
export function leaseCost(turn: Turn, job: JobRow): number {
  const run = job.run === null ? null : turn.tables.runs.get(job.run);
  if (run !== null) {
    const { from, to } = spanOf(turn, job, run, true);
    const tokens = median(turn.tables.steps.recent(run.id).map((step) => step.metrics.tokens));
    return Math.max(1, to - from + 1) * (tokens ?? run.spec.batch_size * run.spec.max_length);
  }
  if (job.evaluation !== null)
    return job.cost / Math.max(1, turn.tables.batches.count("evaluation = ?", job.evaluation));
  return job.cost;
}

/** The steps that a lease of the job would hold now. */
export function spanOf(turn: Turn, job: JobRow, run: RunRow, kept: boolean): TrainSpan {
  const { states } = turn.tables;
  return trainSpan({
    head: run.head,
    totalSteps: run.spec.optimizer.total_steps,
    target: job.target ?? run.head,
    checkpoint: job.checkpoint,
    checkpointEvery: run.spec.checkpoint_every,
    evaluationEvery: run.request.evaluation?.every ?? null,
    stored: new Set(states.checkpoints(run.id).map((row) => row.step)),
    resume: states.resumes(run.id)[0]?.step ?? 0,
    medianSeconds: stepSeconds(turn, run.id),
    kept,
  });
}

/** Median seconds of the run's last steps; null before the first. */
export function stepSeconds(turn: Turn, run: string): number | null {
  return median(turn.tables.steps.recent(run).map((step) => step.metrics.seconds));
}
