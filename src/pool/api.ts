// What services ask of the pool: the Durable Object's methods, called over RPC.
// Refusals come back as values: an error thrown across RPC loses its class. Every method is scoped to a project.
import type { ErrorCode } from "../errors.ts";
import type { Job, WorkerInfo } from "../wire/jobs.ts";
import type { BlobRef } from "../wire/blobs.ts";
import type { GenerateBatch, GeneratePayload } from "../wire/batches.ts";
import type { JobKind, Output, Payload } from "../wire/payloads.ts";
import type { PreferBatch, PreferPayload } from "../wire/pairs.ts";
import type { Delta } from "../wire/pool.ts";
import type { AnyEvaluation } from "../wire/preference-evaluations.ts";
import type { BestCheckpoint, CreateRun, Checkpoint, Run, RunEvent, RunSpec, StoredState } from "../wire/runs.ts";

export interface Refusal {
  ok: false;
  code: ErrorCode;
  message: string;
  retryAfter?: number;
}

export type Answer<T> = { ok: true; value: T } | Refusal;

/** `replayed`: the id was there with the same digest; nothing was changed. */
export interface Created<T> {
  replayed: boolean;
  resource: T;
}

/** A job as the pool keeps it: what a client sees, less `result`, which the service makes of `request` and `output`. */
export interface JobState extends Omit<Job, "result" | "note"> {
  project: string;
  /** The body that asked for it, as the service gave it. */
  /** JSON of what was asked; null where the edge reads it nowhere. */
  request: string | null;
  /** Null until completed, or where `artifact` holds it. */
  output: Output | null;
  artifact: BlobRef | null;
}

/** Whether the pool's own worker does it, which is not connected until there is something to do. */
export const comesWhenWanted = (kind: JobKind): boolean => kind === "generate_edge";

/** Kinds that are leased in spans: of a run's steps, or of an evaluation's batches. */
export type SpanKind = "train" | "generate" | "prefer";

export interface SubmitJob {
  id: string;
  project: string;
  /** SHA-256 of the request that the id stands for. */
  digest: string;
  subject: string | null;
  /** JSON. */
  request: string;
  /** Exactly one of the two is not null; `artifact` is the payload's JSON as a blob. */
  payload: Exclude<Payload, { kind: SpanKind }> | null;
  artifact: { kind: JobKind; localModels: string[]; blob: BlobRef } | null;
  /** Tokens that the job is expected to cost, for fairness between projects. */
  cost: number;
}

export interface SubmitRun {
  id: string;
  project: string;
  digest: string;
  request: CreateRun;
  spec: RunSpec;
}

export interface TakeStepsRequest {
  /** Id of the job to make, if one must be made: `{to}` returns the job that already goes there. */
  job: string;
  project: string;
  run: string;
  digest: string;
  ask: { to: number } | { count: number } | { checkpoint: true };
}

export interface SubmitEvaluation {
  id: string;
  job: string;
  project: string;
  digest: string;
  /** SHA-256 over all that determines the evaluation; one already there is returned, unless null (`repeat`). */
  identity: string | null;
  evaluation: AnyEvaluation;
  payload: Omit<GeneratePayload, "batches"> | Omit<PreferPayload, "batches">;
  batches: GenerateBatch[] | PreferBatch[];
  cost: number;
}

export interface EventPage {
  events: RunEvent[];
  /** Whether the run has ended, so that no more events will come after these. */
  ended: boolean;
}

/** A checkpoint with the blobs of its files. */
export interface StoredCheckpoint {
  checkpoint: Checkpoint;
  state: StoredState;
  /** The run whose student's configuration, tokenizer and template it shares. */
  run: Run;
}

export interface DeltaPage {
  job: JobState;
  pieces: Delta["pieces"];
  /** Place of the last one. */
  last: number;
}

export interface PoolApi {
  submitJob(job: SubmitJob): Promise<Answer<Created<JobState>>>;
  getJob(project: string, id: string): Promise<JobState | null>;
  /** Resolves once the job is terminal, or after `ms`. */
  waitJob(project: string, id: string, ms: number): Promise<JobState | null>;
  /** Deltas after `after`; waits up to `ms` for one, or for the job's end. */
  deltas(project: string, id: string, after: number, ms: number): Promise<DeltaPage | null>;
  cancelJob(project: string, id: string): Promise<Answer<JobState>>;
  /** A new job `retryId` in place of a failed or cancelled one. */
  retryJob(project: string, id: string, retryId: string): Promise<Answer<JobState>>;

  submitRun(run: SubmitRun): Promise<Answer<Created<Run>>>;
  getRun(project: string, id: string): Promise<Run | null>;
  cancelRun(project: string, id: string): Promise<Answer<Run>>;
  deleteRun(project: string, id: string): Promise<Answer<null>>;
  takeSteps(request: TakeStepsRequest): Promise<Answer<Created<JobState>>>;
  /** Events after `after` (0: from the first); waits up to `ms` for one if there is none. */
  events(project: string, run: string, after: number, ms: number): Promise<EventPage | null>;
  /** `step` may be a number, `step.lineage`, or `best`. */
  getCheckpoint(project: string, run: string, step: string): Promise<StoredCheckpoint | null>;
  /** What an evaluation of one of the run's checkpoints came to: the run's `best` is the greatest of those whose checkpoint
   * is there and not superseded, of equals the earliest. Safe to repeat, in any order. Null: there is no such run. */
  recordBest(project: string, run: string, candidate: BestCheckpoint): Promise<Run | null>;

  submitEvaluation(evaluation: SubmitEvaluation): Promise<Answer<Created<AnyEvaluation>>>;
  getEvaluation(project: string, id: string): Promise<AnyEvaluation | null>;
  cancelEvaluation(project: string, id: string): Promise<Answer<AnyEvaluation>>;
  deleteEvaluation(project: string, id: string): Promise<Answer<null>>;
  /** Has the outbox go on with the comparisons of an evaluation that was graded at the edge. Safe to repeat. */
  compareEvaluation(project: string, id: string): Promise<null>;

  /** Adds tokens of responses to the project's usage: those that the scorer read, which no worker reports. */
  countScored(project: string, tokens: number): Promise<null>;

  workers(project: string): Promise<WorkerInfo[]>;
  drainWorker(project: string, worker: string): Promise<Answer<WorkerInfo>>;
  /** The project of the job or run `owner`, if the worker with this key holds its live lease at `fence`; else null. */
  authorizeBlob(key: string, owner: string, fence: number): Promise<string | null>;
  /** Those of the blobs that something of the pool names. */
  namedBlobs(keys: string[]): Promise<string[]>;
  /** Closes the sockets of a revoked key. */
  revokeKey(key: string): Promise<void>;
  ping(): Promise<"ok">;
}
