// One change of the pool: a transaction over the tables, and what goes out once it is committed.
import type { ToWorker } from "../wire/pool.ts";
import type { Tables } from "./tables/index.ts";

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

  constructor(now: number, tables: Tables, fingerprintWaitMs: number) {
    this.now = now;
    this.tables = tables;
    this.fingerprintWaitMs = fingerprintWaitMs;
  }

  send(boot: string, frame: ToWorker): void {
    this.sends.push({ boot, frame });
  }

  close(socket: string, code: number, reason: string): void {
    this.closes.push({ socket, code, reason });
  }
}

export const iso = (time: number): string => new Date(time).toISOString();
