// What the pool decides about a run's frames: pure functions of the journal and the frame.
import type { AckStatus } from "../wire/pool.ts";
import type { PlanEntry } from "../wire/runs.ts";
import type { SamplesRef } from "../wire/samples.ts";

/** What decides a step: read only once the fence has proved live. */
export interface JournalState {
  /** Hash of the row at the frame's `n`, null where there is none. */
  hash: string | null;
  head: number;
  /** Null at step 0, whose hash only workers can compute. */
  headHash: string | null;
  /** Last step of the lease. */
  to: number;
}

export type StepDecision = Extract<AckStatus, "stale_fence" | "duplicate" | "diverged" | "gap" | "ok">;

/** The order is the contract: a stale fence is seen before anything is read. `journal` is null for a dead lease. */
export function decideStep(
  step: { n: number; prev: string; hash: string },
  journal: (() => JournalState) | null,
): StepDecision {
  if (journal === null) return "stale_fence";
  const { hash, head, headHash, to } = journal();
  if (hash !== null) return hash === step.hash ? "duplicate" : "diverged";
  if (step.n !== head + 1 || step.n > to) return "gap";
  if (headHash !== null && step.prev !== headHash) return "gap";
  return "ok";
}

/** `there`: digest of the valid samples of that source and block, null where there are none. Steps that are taken have
 * read the student's samples of their block, so none are added there; the teacher's are of rows, and come when they come. */
export function decideSamples(
  samples: SamplesRef,
  { there, head }: { there: string | null; head: number },
): Extract<AckStatus, "duplicate" | "gap" | "ok"> {
  if (there !== null) return there === samples.blob.sha256 ? "duplicate" : "gap";
  return samples.source === "student" && samples.n <= head ? "gap" : "ok";
}

/** Least positions of a head chunk: below it there is nothing worth saving. */
const LEAST_HEAD_CHUNK = 16;
/** Least tokens of a micro-batch that the wire allows. */
const LEAST_MICRO_BATCH = 16;

/** Smaller plan parameters from step `n` on, after a micro-batch of `rows` and `tokens` did not fit.
 * Rows are never split: a micro-batch of one row can only have smaller head chunks. Null: it cannot be made to fit. */
export function shrinkPlan(
  plan: readonly PlanEntry[],
  oom: { n: number; rows: number; tokens: number },
): PlanEntry[] | null {
  const last = plan.at(-1);
  if (last === undefined) return null;
  const smaller = oom.rows > 1 ? halveTokens(last, oom.tokens) : halveChunk(last);
  if (smaller === null) return null;
  return [...plan.filter((entry) => entry.from < oom.n), { ...smaller, from: oom.n }];
}

function halveTokens(entry: PlanEntry, tokens: number): PlanEntry | null {
  const current = Math.min(entry.micro_batch_tokens ?? tokens, tokens);
  const next = Math.max(LEAST_MICRO_BATCH, Math.floor(current / 2));
  return next === entry.micro_batch_tokens ? halveChunk(entry) : { ...entry, micro_batch_tokens: next };
}

function halveChunk(entry: PlanEntry): PlanEntry | null {
  if (entry.head_chunk <= LEAST_HEAD_CHUNK) return null;
  return { ...entry, head_chunk: Math.max(LEAST_HEAD_CHUNK, Math.floor(entry.head_chunk / 2)) };
}

/** One boot that disagrees with the journal may be broken; a second of the same fingerprint means that the run is not
 * reproducible there. */
export function notReproducible(
  shutouts: readonly { boot: string; fingerprint: string; lineage: number }[],
  lineage: number,
  fingerprint: string,
): boolean {
  const boots = shutouts.filter((entry) => entry.lineage === lineage && entry.fingerprint === fingerprint);
  return new Set(boots.map((entry) => entry.boot)).size >= 2;
}
