// Jobs: submit, read, cancel, retry.
import { MAX_INLINE_BYTES, READER_MS } from "../../config.ts";
import type { ModelRef } from "../../wire/models.ts";
import type { Answer, Created, DeltaPage, JobState, SubmitJob } from "../api.ts";
import { pointTo, reads } from "../blobs.ts";
import { cancelJob as endCancelled } from "../endings.ts";
import { ADVANCED } from "../poison.ts";
import { recordJob } from "../record.ts";
import { answer, created, queueFull, refuse, replayed } from "../refuse.ts";
import { terminal } from "../states.ts";
import { lineOf } from "../tables/jobs.ts";
import type { BodyRow, JobRow } from "../tables/jobs.ts";
import type { Turn } from "../turn.ts";
import { jobState } from "../views.ts";
import { revive } from "./retry.ts";

type NewJob = Pick<JobRow, "id" | "project" | "kind" | "digest"> & Partial<JobRow>;

/** Puts a job at the end of the queue. */
export function enqueue(turn: Turn, fields: NewJob, body: Partial<BodyRow>): JobRow {
  const row: JobRow = {
    status: "queued",
    subject: null,
    retry_of: null,
    run: null,
    evaluation: null,
    target: null,
    checkpoint: false,
    local_models: [],
    models: [],
    cost: 0,
    created_at: turn.now,
    ready: turn.tables.counters.next("ready"),
    ready_at: turn.now,
    not_before: 0,
    line: null,
    attempts: 0,
    ...ADVANCED,
    failed_on: null,
    done: 0,
    total: 0,
    error: null,
    ...fields,
  };
  const empty = { request: null, payload: null, payload_blob: null, output: null, artifact: null };
  turn.tables.jobs.insert({ ...row, line: lineOf(row, []) });
  turn.tables.active.add(row.project, 1);
  turn.tables.bodies.insert({ job: row.id, ...empty, ...body });
  turn.dispatch = true;
  recordJob(turn, row.id);
  return row;
}

/** What a worker must have to take work on these models. */
export function modelNeeds(models: readonly ModelRef[]): Pick<JobRow, "models" | "local_models"> {
  // Of a model with random weights the worker has the one that lends its tokenizer.
  const bases = models.map(({ base }) => (base.type === "init" ? base.tokenizer : base));
  const local = bases.flatMap((base) => (base.type === "local" ? [base.name] : []));
  return { models: [...new Set(models.map((model) => model.model))], local_models: [...new Set(local)] };
}

export function modelsOf(payload: { model: ModelRef } | { teacher: ModelRef; student: ModelRef }): ModelRef[] {
  return "model" in payload ? [payload.model] : [payload.teacher, payload.student];
}

export function submitJob(turn: Turn, job: SubmitJob): Answer<Created<JobState>> {
  const there = turn.tables.jobs.get(job.id);
  if (there !== null) return replayed(turn, there, job.digest, () => jobState(turn, there));
  const { payload, artifact } = job;
  if ((payload === null) === (artifact === null)) throw new Error("a job has either a payload or an artifact");
  if (payload !== null && JSON.stringify(payload).length > MAX_INLINE_BYTES) {
    return refuse("too_large", `a payload over ${MAX_INLINE_BYTES} bytes must be given as a blob`);
  }
  const full = queueFull(turn, job.project);
  if (full !== null) return full;
  const kind = payload?.kind ?? artifact?.kind ?? "score";
  const needs =
    payload === null ? { models: [], local_models: artifact?.localModels ?? [] } : modelNeeds(modelsOf(payload));
  const subject = payload?.kind === "prepare" ? payload.model.model : job.subject;
  const { id, project, digest, cost } = job;
  const row = enqueue(
    turn,
    { id, project, digest, kind, cost, subject, ...needs },
    { request: job.request, payload, payload_blob: artifact?.blob ?? null },
  );
  if (artifact !== null) pointTo(turn, id, [artifact.blob]);
  if (payload !== null) reads(turn, { project, owner: id }, payload);
  return created(jobState(turn, row));
}

export function getJob(turn: Turn, project: string, id: string): JobState | null {
  const job = find(turn, project, id);
  return job === null ? null : jobState(turn, job);
}

/** What a streamed completion has grown by since delta `after` (-1: from the first), with the job as it is now. */
export function deltas(turn: Turn, project: string, id: string, after: number): DeltaPage | null {
  const job = getJob(turn, project, id);
  if (job === null) return null;
  if (!terminal(job.status)) turn.tables.due.set("reader", id, turn.now + READER_MS);
  const rows = turn.tables.deltas.after(id, after);
  return { job, pieces: rows.flatMap((row) => row.pieces), last: rows.at(-1)?.place ?? after };
}

export function find(turn: Turn, project: string, id: string): JobRow | null {
  const job = turn.tables.jobs.get(id);
  return job?.project === project ? job : null;
}

/** Cancelling what has ended changes nothing. */
export function cancelJob(turn: Turn, project: string, id: string): Answer<JobState> {
  const job = find(turn, project, id);
  if (job === null) return refuse("not_found", `no job ${id}`);
  if (!terminal(job.status)) endCancelled(turn, job);
  return answer(jobState(turn, turn.tables.jobs.get(id) ?? job));
}

export function retryJob(turn: Turn, project: string, id: string, retryId: string): Answer<JobState> {
  const job = find(turn, project, id);
  if (job === null) return refuse("not_found", `no job ${id}`);
  const there = find(turn, project, retryId);
  if (there !== null) {
    return there.retry_of === id ? answer(jobState(turn, there)) : refuse("idempotency_mismatch", "use a new key");
  }
  if (job.status !== "failed" && job.status !== "cancelled") {
    return refuse("not_retryable", `the job is ${job.status}; only a failed or cancelled job can be retried`);
  }
  const retry = turn.tables.jobs.retryOf(id);
  if (retry !== null) return refuse("not_retryable", `job ${retry.id} is its retry already; see that one`);
  const full = queueFull(turn, project);
  if (full !== null) return full;
  const revival = revive(turn, job, retryId);
  if ("ok" in revival) return revival;
  const { payload, payload_blob } = turn.tables.bodies.asked(id);
  const { request } = turn.tables.bodies.answered(id);
  const { kind, digest, subject, run, evaluation, target, checkpoint, local_models, models, cost } = job;
  const same = { project, kind, digest, subject, run, evaluation, target, checkpoint, local_models, models, cost };
  const fields = { ...same, ...revival.fields, id: retryId, retry_of: id };
  const row = enqueue(turn, fields, { request, payload, payload_blob });
  revival.after();
  if (payload_blob !== null) pointTo(turn, retryId, [payload_blob]);
  if (payload !== null) reads(turn, { project, owner: retryId }, payload);
  return answer(jobState(turn, row));
}
