// What is written down about each change: the outbox to D1, a run's events, usage.
import type { OutboxEntry, UsageMeter } from "../store/outbox.ts";
import type { ExportOutput } from "../wire/exports.ts";
import type { RunEvent } from "../wire/runs.ts";
import type { EvaluationRow } from "./tables/evaluations.ts";
import type { JobRow } from "./tables/jobs.ts";
import type { RunRow, StateRow, StepRow } from "./tables/runs.ts";
import type { Turn } from "./turn.ts";
import { iso } from "./turn.ts";
import { checkpointId, checkpointView, jobRecord, runView, stepView } from "./views.ts";

/** Kinds whose newest entry holds all that the older ones said. Not evaluations: their items need the entry before them. */
const ABSOLUTE: ReadonlySet<OutboxEntry["kind"]> = new Set(["job", "run", "usage", "comparisons"]);

function post(turn: Turn, topic: string, make: (rev: number) => OutboxEntry): void {
  const { outbox, counters } = turn.tables;
  const seq = counters.next("rev");
  const entry = make(seq);
  const next_at = Math.max(turn.now, outbox.after(topic));
  // A newer one takes the older one's place, and its wait where that one failed.
  const attempts = ABSOLUTE.has(entry.kind) ? outbox.take(topic, entry.kind) : 0;
  outbox.insert({ seq, topic, kind: entry.kind, entry, attempts, next_at, error: null });
  turn.outboxAt = Math.min(turn.outboxAt ?? Infinity, next_at);
}

/** At the end of a turn: each job and each run that changed is told once, as it is now. */
export function recordChanged(turn: Turn): void {
  for (const id of turn.jobs) {
    const job = turn.tables.jobs.get(id);
    if (job !== null) post(turn, id, (rev) => ({ kind: "job", project: job.project, rev, job: jobRecord(turn, job) }));
  }
  for (const id of turn.runs) {
    const run = turn.tables.runs.get(id);
    if (run !== null) post(turn, id, (rev) => ({ kind: "run", project: run.project, rev, run: runView(turn, run) }));
  }
  if (turn.outboxAt !== null) turn.tables.due.soonest("outbox", "", turn.outboxAt);
}

export function recordJob(turn: Turn, id: string): void {
  turn.changed.add(id);
  turn.jobs.add(id);
}

export function recordRun(turn: Turn, id: string): void {
  turn.changed.add(id);
  turn.runs.add(id);
}

export function recordStep(turn: Turn, project: string, row: StepRow): void {
  post(turn, row.run, (rev) => ({ kind: "step", project, rev, step: stepView(row) }));
}

/** A topic of its own: what follows a checkpoint may have to wait, as for a full queue, and the run's steps do not. */
export function recordCheckpoint(turn: Turn, project: string, row: StateRow): void {
  post(turn, checkpointId(row), (rev) => ({ kind: "checkpoint", project, rev, checkpoint: checkpointView(row) }));
}

type ModelOutcome = Extract<OutboxEntry, { kind: "model" }>["outcome"];

export function recordModel(turn: Turn, project: string, model: string, outcome: ModelOutcome): void {
  post(turn, model, () => ({ kind: "model", project, model, outcome }));
}

/** A model's artifact for the edge: the job is its topic, since each is made once. */
export function recordExport(turn: Turn, job: JobRow, output: ExportOutput): void {
  const { id, project, subject: checkpoint } = job;
  if (checkpoint !== null) {
    post(turn, id, () => ({ kind: "export", project, job: id, checkpoint, at: turn.now, output }));
  }
}

/** A job whose log-probabilities are to be kept. */
export function recordScored(turn: Turn, job: JobRow): void {
  post(turn, job.id, () => ({ kind: "scored", project: job.project, job: job.id }));
}

export function recordItems(turn: Turn, entry: Extract<OutboxEntry, { kind: "items" | "pairs" }>): void {
  post(turn, entry.evaluation, () => entry);
}

export function recordEvaluation(turn: Turn, row: EvaluationRow): void {
  turn.changed.add(row.id);
  post(turn, row.id, (rev) => ({ kind: "evaluation", project: row.project, rev, evaluation: row.body }));
}

/** What an evaluation graded at the edge has yet to be compared with: a request ends before all of a large board is done. */
export function recordComparisons(turn: Turn, project: string, evaluation: string): void {
  post(turn, evaluation, () => ({ kind: "comparisons", project, evaluation }));
}

type Deletion = Extract<OutboxEntry, { kind: "deleted" }>;

export function recordDeleted(turn: Turn, project: string, resource: Deletion["resource"], id: string): void {
  turn.changed.add(id);
  post(turn, id, () => ({ kind: "deleted", project, resource, id }));
}

export function recordUsage(turn: Turn, project: string, meter: UsageMeter, tokens: number): void {
  if (tokens === 0) return;
  const day = iso(turn.now).slice(0, 10);
  const total = turn.tables.usage.add(project, day, meter, tokens);
  post(turn, `${project} ${day} ${meter}`, (rev) => ({ kind: "usage", project, rev, day, meter, total }));
}

/** Of responses that the scorer has read. */
export function countScored(turn: Turn, project: string, tokens: number): null {
  recordUsage(turn, project, "tokens_scored", tokens);
  return null;
}

type EventOf<E> = E extends RunEvent ? Pick<E, "type" | "data"> : never;

/** Appends to the run's event stream. */
export function recordEvent(turn: Turn, run: string, event: EventOf<RunEvent>): void {
  const { runs, events } = turn.tables;
  const row = runs.get(run);
  if (row === null) return;
  const sequence = row.sequence + 1;
  runs.update(run, { sequence });
  events.insert({ run, sequence, event: { sequence, at: iso(turn.now), ...event } });
  turn.changed.add(run);
}

/** The run's status as its jobs imply it, and an event where it changed. */
export function refreshRun(turn: Turn, id: string): void {
  const run = turn.tables.runs.get(id);
  if (run === null) return;
  const status = ended(run) ? run.status : impliedStatus(turn, id);
  if (status !== run.status) {
    turn.tables.runs.update(id, { status });
    recordEvent(turn, id, { type: "status", data: { status, head: run.head, error: run.error } });
  }
  recordRun(turn, id);
}

export function ended(run: RunRow): boolean {
  return run.status === "completed" || run.status === "failed" || run.status === "cancelled";
}

function impliedStatus(turn: Turn, run: string): RunRow["status"] {
  const soonest = turn.tables.jobs.soonest(run);
  if (soonest === null) return "ready";
  return soonest.attempts > 0 ? "running" : "queued";
}
