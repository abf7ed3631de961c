// One change of the pool: a transaction over the tables, and what goes out once it is committed.
import { RESTART_GRACE_MS } from "../config.ts";
import type { ToWorker } from "../wire/pool.ts";
import type { Overview } from "./overview.ts";
import type { Tables } from "./tables/index.ts";

/** Runs work in a transaction, which may be inside another: a throw undoes it. */
export type Transaction = <T>(work: () => T) => T;

/** What a turn knows beside the tables. */
export interface Surroundings {
  now: number;
  tables: Tables;
  overview: Overview;
  /** When the object began: until a while after it nobody is blamed for what it may have missed. */
  since: number;
  fingerprintWaitMs: number;
  transaction: Transaction;
  /** Whether the socket of that id is open. */
  isOpen: (socket: string | null) => boolean;
}

export class Turn {
  readonly now: number;
  readonly tables: Tables;
  readonly overview: Overview;
  readonly since: number;
  readonly fingerprintWaitMs: number;
  readonly isOpen: Surroundings["isOpen"];
  /** Frames to send, in order. */
  readonly sends: { boot: string; frame: ToWorker }[] = [];
  /** Sockets to close: by the id in their attachment. */
  readonly closes: { socket: string; code: number; reason: string }[] = [];
  /** Ids of jobs and runs that changed: whoever waits for them looks again. */
  readonly changed = new Set<string>();
  /** Of these the outbox is told at the end of the turn, as they are then. */
  readonly jobs = new Set<string>();
  readonly runs = new Set<string>();
  /** When the outbox has something to say; null: nothing new. */
  outboxAt: number | null = null;
  /** Whether a job or a worker may have become free. */
  dispatch = false;
  readonly #transaction: Transaction;

  constructor({ now, tables, overview, since, fingerprintWaitMs, transaction, isOpen }: Surroundings) {
    this.now = now;
    this.tables = tables;
    this.overview = overview;
    this.since = since;
    this.fingerprintWaitMs = fingerprintWaitMs;
    this.isOpen = isOpen;
    this.#transaction = transaction;
  }

  /** Whether leases may be judged: after a restart workers first get time to come back. */
  get judges(): boolean {
    return this.now >= this.since + RESTART_GRACE_MS;
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
      this.tables.forget();
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
