// The queue and the workers as the scheduler sees them, read from the tables.
import { MAX_BOOT_LEASES } from "../config.ts";
import { FIRST_PROTOCOL_LEASES } from "../wire/pool.ts";
import type { Candidate, Seat } from "./schedule.ts";
import { trainSpan, median } from "./span.ts";
import type { TrainSpan, TrainSpanInput } from "./span.ts";
import type { JobRow } from "./tables/jobs.ts";
import type { RunRow, StepRow } from "./tables/runs.ts";
import type { WorkerRow } from "./tables/workers.ts";
import type { Turn } from "./turn.ts";

export function seatOf(turn: Turn, worker: WorkerRow): Seat {
  const { long, requests } = turn.tables.leases.held(worker.boot);
  const most = worker.protocol === 1 ? FIRST_PROTOCOL_LEASES : MAX_BOOT_LEASES;
  const room = Math.min(worker.requests, most - worker.slots);
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

/** Expected tokens of one lease: a span of steps, or what the job's cost says of one. */
export function leaseCost(turn: Turn, job: JobRow): number {
  const run = job.run === null ? null : turn.tables.runs.get(job.run);
  if (run === null) return job.cost;
  const recent = turn.tables.steps.recent(run.id);
  const { from, to } = spanOf(turn, job, run, { kept: true, medianSeconds: medianSeconds(recent) });
  const tokens = median(recent.map((step) => step.metrics.tokens));
  return Math.max(1, to - from + 1) * (tokens ?? run.spec.batch_size * run.spec.max_length);
}

/** The steps that a lease of the job would hold now. */
export function spanOf(
  turn: Turn,
  job: JobRow,
  run: RunRow,
  { kept, medianSeconds: seconds }: Pick<TrainSpanInput, "kept" | "medianSeconds">,
): TrainSpan {
  const { states } = turn.tables;
  const resume = states.resumes(run.id)[0]?.step ?? 0;
  return trainSpan({
    head: run.head,
    totalSteps: run.spec.optimizer.total_steps,
    target: job.target ?? run.head,
    checkpoint: job.checkpoint,
    checkpointEvery: run.spec.checkpoint_every,
    evaluationEvery: run.request.evaluation?.every ?? null,
    stored: new Set(states.stored(run.id, resume)),
    resume,
    medianSeconds: seconds,
    kept,
  });
}

/** Median seconds of the run's last steps; null before the first. */
export function stepSeconds(turn: Turn, run: string): number | null {
  return medianSeconds(turn.tables.steps.recent(run));
}

const medianSeconds = (recent: readonly StepRow[]): number | null => median(recent.map((step) => step.metrics.seconds));
