// One change of the pool: a transaction over the tables, and what goes out once it is committed.
import type { ToWorker } from "../wire/pool.ts";
import type { Tables } from "./tables/index.ts";

/** Runs work in a transaction, which may be inside another: a throw undoes it. */
export type Transaction = <T>(work: () => T) => T;

export class Turn {
  readonly now: number;
  readonly tables: Tables;
  readonly fingerprintWaitMs: number;
  /** Frames to send, in order. */
  readonly sends: { boot: string; frame: ToWorker }[] = [];
  /** Sockets to close: by the id in their attachment. */
  readonly closes: { socket: string; code: number; reason: string }[] = [];
  /** Ids of jobs and runs that changed: whoever waits for them looks again. */
  readonly changed = new Set<string>();
  /** Whether a job or a worker may have become free. */
  dispatch = false;
  readonly #transaction: Transaction;

  constructor(now: number, tables: Tables, fingerprintWaitMs: number, transaction: Transaction) {
    this.now = now;
    this.tables = tables;
    this.fingerprintWaitMs = fingerprintWaitMs;
    this.#transaction = transaction;
  }

  /** Does `work` whole or not at all, within the turn's own transaction. */
  attempt<T>(work: () => T): { value: T } | { error: unknown } {
    const { length: sends } = this.sends;
    const { length: closes } = this.closes;
    try {
      return { value: this.#transaction(work) };
    } catch (error) {
      this.sends.length = sends;
      this.closes.length = closes;
      return { error };
    }
  }

  send(boot: string, frame: ToWorker): void {
    this.sends.push({ boot, frame });
  }

  close(socket: string, code: number, reason: string): void {
    this.closes.push({ socket, code, reason });
  }
}

export const iso = (time: number): string => new Date(time).toISOString();
