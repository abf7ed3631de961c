// The outbox on its way to D1. What it needs is handed in, so that hangs, failures and late answers are tested without a Worker.
import { OUTBOX_BATCH, OUTBOX_RETRY_MS, SETTLE_MS } from "../config.ts";
import type { OutboxEntry } from "../store/outbox.ts";

/** Characters of an error that are kept. */
const MAX_ERROR = 500;

export interface OutboxItem {
  seq: number;
  topic: string;
  entry: OutboxEntry;
  attempts: number;
}

export interface OutboxStore {
  /** The oldest entries that may be tried, in order. */
  ready(limit: number): OutboxItem[];
  done(item: OutboxItem): void;
  park(item: OutboxItem, waitMs: number, error: string): void;
}

/** Tries one batch, in order; an entry that fails holds back later ones of its topic only. One that hangs ends the
 * batch: D1 is stalled, and the others would wait as long. */
export async function drain(
  store: OutboxStore,
  apply: (entry: OutboxEntry) => Promise<void>,
  settleMs = SETTLE_MS,
): Promise<void> {
  const failed = new Set<string>();
  for (const item of store.ready(OUTBOX_BATCH)) {
    if (failed.has(item.topic)) continue;
    const error = await tryOnce(Promise.resolve(item.entry).then(apply), settleMs);
    if (error === null) store.done(item);
    else {
      failed.add(item.topic);
      store.park(item, outboxWaitMs(item.attempts), error);
      if (error === HUNG) return;
    }
  }
}

const HUNG = "not settled in time";

/** Null once settled, else what went wrong. A late answer is ignored: the entry is applied again, which changes nothing. */
async function tryOnce(work: Promise<void>, ms: number): Promise<string | null> {
  const { promise: hung, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve(HUNG), ms);
  const outcome = await Promise.race([hung, work.then(() => null, describe)]);
  clearTimeout(timer);
  return outcome;
}

export function outboxWaitMs(attempts: number): number {
  return Math.min(OUTBOX_RETRY_MS.last, OUTBOX_RETRY_MS.first * 2 ** Math.min(attempts, 10));
}

/** Short enough to keep and to log. */
export function describe(error: unknown): string {
  return (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, MAX_ERROR);
}
