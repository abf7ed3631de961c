// items, pairs, result, fail, refuse: what a worker says of a job.
import type { BlobRef } from "../../wire/blobs.ts";
import type { JobKind, Output } from "../../wire/payloads.ts";
import { problemOf } from "../answers.ts";
import { pointTo } from "../blobs.ts";
import { carryOn, completeJob, endLease, failJob, setBack } from "../endings.ts";
import { ADVANCED } from "../poison.ts";
import { recordEvaluation, recordItems, recordUsage } from "../record.ts";
import type { JobRow } from "../tables/jobs.ts";
import type { WorkerRow } from "../tables/workers.ts";
import type { Turn } from "../turn.ts";
import { heldLease, reply } from "./held.ts";
import type { FrameOf, HeldLease, Look, Reply } from "./held.ts";
import { dropResume } from "./states.ts";

/** What a worker says of a store or a pool that it cannot reach: the job is not at fault. */
const INTERRUPTIONS: ReadonlySet<string> = new Set(["blob_unavailable", "resume_state_corrupt"]);

/** The frame that commits a batch of each kind of evaluation. */
const FRAMES = { generate: "items", prefer: "pairs" } as const;

/** A batch is committed whole, once: its number is what counts. */
export function onItems(turn: Turn, worker: WorkerRow, frame: FrameOf<"items" | "pairs">): Reply {
  const held = heldLease(turn, worker, frame);
  if (held === null) return reply("stale_fence");
  const { job } = held;
  const { evaluations, batches, jobs } = turn.tables;
  const row = job.evaluation === null ? null : evaluations.get(job.evaluation);
  const batch = row === null ? null : batches.get(row.id, frame.batch);
  if (row === null || batch === null || FRAMES[row.payload.kind] !== frame.type)
    return { violation: "items of a batch that the job does not have" };
  if (batch.committed) return reply("duplicate");
  const asked = batch.items.map((item) => `${item.seed} ${item.item}`);
  if (asked.join("\n") !== frame.items.map((item) => `${item.seed} ${item.item}`).join("\n")) {
    return { violation: "items are not those of their batch, in its order" };
  }
  batches.patch({ committed: true }, "evaluation = ? AND batch = ?", row.id, frame.batch);
  jobs.update(job.id, { ...ADVANCED, done: job.done + frame.items.length });
  const body = { ...row.body, done: row.body.done + frame.items.length };
  evaluations.patch({ body }, "id = ?", row.id);
  const of = { project: job.project, evaluation: row.id, batch: frame.batch };
  if (frame.type === "items") recordItems(turn, { kind: "items", ...of, items: frame.items });
  else recordItems(turn, { kind: "pairs", ...of, items: frame.items });
  recordEvaluation(turn, { ...row, body });
  recordTokens(turn, job.project, frame);
  return reply("ok");
}

/** Of a pair both responses are scored; those that were not given are generated as well. */
function recordTokens(turn: Turn, project: string, frame: FrameOf<"items" | "pairs">): void {
  const sum = (counts: readonly { num_tokens: number }[]): number =>
    counts.reduce((total, { num_tokens: tokens }) => total + tokens, 0);
  if (frame.type === "items") {
    recordUsage(turn, project, "tokens_generated", sum(frame.items));
    return;
  }
  const sides = frame.items.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  recordUsage(turn, project, "tokens_scored", sum(sides));
  recordUsage(turn, project, "tokens_generated", sum(sides.filter(({ response }) => response !== null)));
}

/** What a streamed completion has grown by; whoever reads it looks again. */
export function onDelta(turn: Turn, worker: WorkerRow, frame: FrameOf<"delta">): Reply {
  const held = heldLease(turn, worker, frame);
  if (held === null) return reply("stale_fence");
  const { deltas, jobs } = turn.tables;
  const next = deltas.next(frame.job);
  if (frame.place < next) return reply("duplicate");
  if (frame.place > next || held.job.kind !== "complete") return { violation: "a delta that does not follow the last" };
  deltas.insert({ job: frame.job, place: frame.place, pieces: frame.pieces });
  jobs.update(frame.job, ADVANCED);
  turn.changed.add(frame.job);
  return reply("ok");
}

/** The end of a lease. `stored`: whether an artifact is complete in R2; null before anybody has looked. */
export function onResult(
  turn: Turn,
  worker: WorkerRow,
  frame: FrameOf<"result">,
  stored: boolean | null,
): Reply | Look {
  const held = heldLease(turn, worker, frame);
  const run = held?.job.run ?? null;
  const lineage = run === null ? null : (turn.tables.runs.get(run)?.lineage ?? null);
  if (held === null || lineage !== frame.lineage) return lateResult(turn, worker, frame);
  const { job } = held;
  const { output, artifact } = frame;
  if ((output === null) === (artifact === null)) return { violation: "a result has either an output or an artifact" };
  const spans = job.run !== null || job.evaluation !== null;
  if (spans && artifact !== null) return { violation: "a span's output is small: send it inline" };
  if (output !== null && output.kind !== outputKind(job.kind))
    return { violation: `a ${job.kind} job has no ${output.kind} output` };
  const problem = output === null || spans ? null : problemOf(turn.tables.bodies.asked(job.id).payload, output);
  if (problem !== null) {
    setBack(turn, job, { kind: "failure", detail: `its worker's output does not answer it: ${problem}` });
    return reply("stale_fence");
  }
  const named = blobsOf(output, artifact);
  if (named.length > 0 && stored === null) {
    return { prefix: `${job.project}/${job.id}/${frame.fence}/`, blobs: named };
  }
  if (stored === false) return { violation: "names an artifact that is not stored under the job's prefix" };
  pointTo(turn, job.id, named);
  finish(turn, job, output, artifact);
  return reply("ok");
}

/** The scorer answers an evaluation as a worker does. */
const outputKind = (kind: JobKind): JobKind => (kind === "generate_edge" ? "generate" : kind);

/** What a result names of R2. */
function blobsOf(output: Output | null, artifact: BlobRef | null): BlobRef[] {
  if (artifact !== null) return [artifact];
  return output?.kind === "export" ? output.files.flatMap((file) => file.parts) : [];
}

/** The same worker's result again is a duplicate: its first one ended the lease. */
function lateResult(turn: Turn, worker: WorkerRow, frame: FrameOf<"result">): Reply {
  const job = turn.tables.jobs.get(frame.job);
  if (job?.run === null || job === null) return reply("stale_fence");
  const { fence, holder } = turn.tables.fences.get(job.run);
  return reply(holder === worker.boot && fence === frame.fence ? "duplicate" : "stale_fence");
}

function finish(turn: Turn, job: JobRow, output: Output | null, artifact: BlobRef | null): void {
  if (output?.kind === "train") finishTrainSpan(turn, job, output.state_sha256);
  else if (output?.kind === "generate" || output?.kind === "prefer") finishBatchSpan(turn, job, output);
  else finishWhole(turn, job, output, artifact);
}

function finishWhole(turn: Turn, job: JobRow, output: Output | null, artifact: BlobRef | null): void {
  endLease(turn, job, false);
  meter(turn, job, output);
  completeJob(turn, job, output, artifact);
}

/** Only a blob knows the tokens of a large output; the expected cost stands for them. */
function meter(turn: Turn, job: JobRow, output: Output | null): void {
  if (output?.kind === "complete") {
    const generated = output.choices.reduce((sum, choice) => sum + choice.num_tokens, 0);
    recordUsage(turn, job.project, "tokens_generated", generated);
    recordUsage(turn, job.project, "tokens_scored", output.tokens - generated);
  } else if (job.kind === "score" || job.kind === "compare" || job.kind === "complete") {
    const tokens = output !== null && "tokens" in output ? output.tokens : Math.round(job.cost);
    recordUsage(turn, job.project, "tokens_scored", typeof tokens === "number" ? tokens : Math.round(job.cost));
  }
}

function finishTrainSpan(turn: Turn, job: JobRow, state: string | null): void {
  const { runs } = turn.tables;
  const run = job.run === null ? null : runs.get(job.run);
  if (run !== null && state !== null && run.head === run.spec.optimizer.total_steps) {
    runs.update(run.id, { state_sha256: state });
  }
  carryOn(turn, job);
}

function finishBatchSpan(turn: Turn, job: JobRow, output: Output): void {
  if (job.evaluation !== null && turn.tables.batches.openCount(job.evaluation) > 0) {
    carryOn(turn, job);
    return;
  }
  endLease(turn, job, false);
  completeJob(turn, job, output, null);
}

export function onFail(turn: Turn, worker: WorkerRow, frame: FrameOf<"fail">): Reply {
  const held = heldLease(turn, worker, frame);
  if (held === null) return reply("stale_fence");
  const { job } = held;
  if (frame.retryable) {
    if (frame.code === "resume_state_corrupt") dropRead(turn, held);
    const kind = INTERRUPTIONS.has(frame.code) ? "interruption" : "failure";
    setBack(turn, job, { kind, detail: `${frame.code}: ${frame.detail}` });
  } else {
    endLease(turn, job, false);
    failJob(turn, job, { code: frame.code, message: frame.detail, retryable: false });
  }
  return reply("ok");
}

/** The resume state that the lease named is missing or broken. */
function dropRead(turn: Turn, { job, lease }: HeldLease): void {
  const resumes = job.run === null ? [] : turn.tables.states.resumes(job.run);
  const read = resumes.find((row) => row.step < lease.from);
  if (read !== undefined) dropResume(turn, read);
}

/** This worker cannot take it (never again, if not retryable); another may. */
export function onRefuse(turn: Turn, worker: WorkerRow, frame: FrameOf<"refuse">): Reply {
  const held = heldLease(turn, worker, frame);
  if (held === null) return reply("stale_fence");
  const { job } = held;
  if (!frame.retryable) turn.tables.refusals.put({ job: job.id, boot: worker.boot });
  setBack(turn, job, { kind: "interruption", detail: `refused: ${frame.reason}` });
  return reply("ok");
}
