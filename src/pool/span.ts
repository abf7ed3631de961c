// How much of a job one lease holds.
import { SPAN_BATCHES, SPAN_MS } from "../config.ts";

/** Hashes that one lease may carry; more replayed steps than these are taken again instead, and verified as duplicates. */
const MAX_HASHES = 250;

export interface TrainSpanInput {
  head: number;
  totalSteps: number;
  /** Where the job goes, and whether it asked for a checkpoint there. */
  target: number;
  checkpoint: boolean;
  /** Every so many steps a checkpoint is kept, and every so many one is evaluated. */
  checkpointEvery: number | null;
  evaluationEvery: number | null;
  /** Steps whose checkpoint the lineage has. */
  stored: ReadonlySet<number>;
  /** Step of the newest resume state, 0 for none. */
  resume: number;
  medianSeconds: number | null;
  /** Whether the holder keeps its fence, so that its own uploads are still under way. */
  kept: boolean;
}

export interface TrainSpan {
  from: number;
  to: number;
  checkpointAt: number[];
}

/** A training lease is the steps expected in ten seconds, at least one; none when only a checkpoint is missing.
 * After a change of holder it begins before the first checkpoint that got lost, if a replay passes there anyway. */
export function trainSpan(input: TrainSpanInput): TrainSpan {
  const to = Math.min(input.target, input.head + spanSteps(input.medianSeconds));
  const lost = input.kept ? undefined : wantedCheckpoints(input, Math.max(1, input.resume), input.head)[0];
  const from = Math.min(input.head, lost ?? input.head, input.resume + MAX_HASHES) + 1;
  return { from, to: Math.max(to, input.head), checkpointAt: wantedCheckpoints(input, from - 1, to) };
}

function spanSteps(medianSeconds: number | null): number {
  if (medianSeconds === null || medianSeconds <= 0) return 1;
  return Math.max(1, Math.floor(SPAN_MS / 1000 / medianSeconds));
}

/** Steps in `first..last` whose checkpoint is wanted and not stored. */
function wantedCheckpoints(input: TrainSpanInput, first: number, last: number): number[] {
  const wanted = new Set<number>();
  for (const every of [input.checkpointEvery, input.evaluationEvery]) {
    if (every === null) continue;
    for (let step = Math.max(1, Math.ceil(first / every)) * every; step <= last; step += every) wanted.add(step);
  }
  if (input.checkpoint) wanted.add(input.target);
  wanted.add(input.totalSteps);
  return [...wanted].filter((step) => step >= first && step <= last && !input.stored.has(step)).sort((a, b) => a - b);
}

/** Batches of one lease: a few, as many as fit into `bytes`, at least one. */
export function batchSpan<T extends { bytes: number }>(open: readonly T[], bytes: number): T[] {
  const span: T[] = [];
  let size = 0;
  for (const batch of open.slice(0, SPAN_BATCHES)) {
    size += batch.bytes;
    if (span.length > 0 && size > bytes) break;
    span.push(batch);
  }
  return span;
}

/** The middle of what was measured; null where nothing was. */
export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
