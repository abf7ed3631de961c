// rows, step, oom, mismatch: the journal of a run.
import { endRun } from "../endings.ts";
import { decideStep, shrinkPlan } from "../journal.ts";
import { shutOut } from "../lineage.ts";
import { ADVANCED } from "../poison.ts";
import { recordEvent, recordRun, recordStep, recordUsage } from "../record.ts";
import type { RunRow } from "../tables/runs.ts";
import type { WorkerRow } from "../tables/workers.ts";
import type { Turn } from "../turn.ts";
import { stepView } from "../views.ts";
import { heldRunLease, reply } from "./held.ts";
import type { FrameOf, HeldLease, Reply } from "./held.ts";

export function onRows(turn: Turn, worker: WorkerRow, frame: FrameOf<"rows">): Reply {
  const held = heldRunLease(turn, worker, frame);
  if (held === null) return reply("stale_fence");
  const { run, job } = held;
  if (run.rows !== null) {
    if (run.rows.digest === frame.rows.digest) return reply("duplicate");
    shutOut(turn, job, run, worker, 0);
    return reply("diverged");
  }
  turn.tables.runs.update(run.id, { rows: frame.rows });
  recordEvent(turn, run.id, { type: "rows", data: frame.rows });
  recordRun(turn, run.id);
  return reply("ok");
}

export function onStep(turn: Turn, worker: WorkerRow, frame: FrameOf<"step">): Reply {
  const held = heldRunLease(turn, worker, frame);
  const decision = decideStep(frame, held === null ? null : () => journalOf(turn, held, frame.n));
  if (held === null || decision === "stale_fence") return reply("stale_fence");
  if (decision === "gap") return reply("gap", held.run.head);
  if (decision === "diverged") shutOut(turn, held.job, held.run, worker, frame.n);
  if (decision === "ok") commitStep(turn, held, frame);
  return reply(decision);
}

function journalOf(turn: Turn, { run, lease }: HeldLease & { run: RunRow }, n: number) {
  const hash = turn.tables.steps.at(run.id, n)?.hash ?? null;
  return { hash, head: run.head, headHash: run.head_hash, to: lease.to };
}

function commitStep(turn: Turn, { run, job }: HeldLease & { run: RunRow }, frame: FrameOf<"step">): void {
  const { runs, steps, jobs } = turn.tables;
  const { n, prev, hash, metrics, lineage } = frame;
  const row = { run: run.id, lineage, n, prev, hash, metrics, superseded: false, committed_at: turn.now };
  steps.insert(row);
  runs.update(run.id, { head: n, head_hash: hash });
  jobs.update(job.id, { ...ADVANCED, done: n, total: job.target ?? n });
  recordEvent(turn, run.id, { type: "step", data: stepView(row) });
  recordStep(turn, run.project, row);
  recordUsage(turn, run.project, "tokens_trained", metrics.tokens);
  recordRun(turn, run.id);
}

/** The plan shrinks from step n on; the worker ends its span, and the next lease carries the new plan. */
export function onOutOfMemory(turn: Turn, worker: WorkerRow, frame: FrameOf<"oom">): Reply {
  const held = heldRunLease(turn, worker, frame);
  if (held === null) return reply("stale_fence");
  const { run, job } = held;
  if (frame.n !== run.head + 1) return reply("gap", run.head);
  const plan = shrinkPlan(run.plan, frame);
  const entry = plan?.at(-1);
  if (plan === null || entry === undefined) {
    const message = `step ${frame.n} does not fit: one row of ${frame.tokens} tokens; lower max_length, or use a larger device`;
    endRun(turn, run.id, "failed", { code: "out_of_memory", message, retryable: false });
    return reply("cancelled");
  }
  turn.tables.runs.update(run.id, { plan });
  turn.tables.jobs.update(job.id, ADVANCED);
  recordEvent(turn, run.id, { type: "plan", data: entry });
  recordRun(turn, run.id);
  return reply("ok");
}

/** A replayed step came out differently: the same as a diverged one. */
export function onMismatch(turn: Turn, worker: WorkerRow, frame: FrameOf<"mismatch">): Reply {
  const held = heldRunLease(turn, worker, frame);
  if (held === null) return reply("stale_fence");
  if (turn.tables.steps.at(held.run.id, frame.n)?.hash === frame.got) return reply("duplicate");
  shutOut(turn, held.job, held.run, worker, frame.n);
  return reply("diverged");
}
