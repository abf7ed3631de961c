// What happens at a time, the state of the round-robin, and counters.
import { z } from "zod";
import { Table, flag, time } from "./table.ts";

const DueRow = z.object({
  /** lease: a lease ends. hold: a disconnected boot's fences end. wake: a waiting job may be placed. reader: nobody reads
   * a streamed job any more. outbox, garbage: work for the alarm. */
  kind: z.enum(["lease", "hold", "wake", "reader", "outbox", "garbage"]),
  key: z.string(),
  at: time,
});
export type DueRow = z.output<typeof DueRow>;

/** `last`: the project that was served last. */
const RoundRow = z.object({ project: z.string(), deficit: z.number(), last: flag });
const CounterRow = z.object({ name: z.string(), value: z.int() });

export class Due extends Table<typeof DueRow> {
  constructor(sql: SqlStorage) {
    super(sql, "due", DueRow);
  }

  set(kind: DueRow["kind"], key: string, at: number): void {
    this.put({ kind, key, at });
  }

  /** Sets it unless it is due earlier already. */
  soonest(kind: DueRow["kind"], key: string, at: number): void {
    const row = this.one("kind = ? AND key = ?", kind, key);
    if (row === null || row.at > at) this.set(kind, key, at);
  }

  clear(kind: DueRow["kind"], key: string): void {
    this.remove("kind = ? AND key = ?", kind, key);
  }

  /** Leases, holds, wake-ups and readers whose time has come, removed from the table. */
  take(now: number): DueRow[] {
    const where = "kind IN ('lease', 'hold', 'wake', 'reader') AND at <= ?";
    const rows = this.all(`${where} ORDER BY at`, now);
    if (rows.length > 0) this.remove(where, now);
    return rows;
  }

  next(): number | null {
    return this.one("true ORDER BY at")?.at ?? null;
  }
}

export class RoundTable extends Table<typeof RoundRow> {
  constructor(sql: SqlStorage) {
    super(sql, "round", RoundRow);
  }
}

export class Counters extends Table<typeof CounterRow> {
  constructor(sql: SqlStorage) {
    super(sql, "counters", CounterRow);
  }

  next(name: string): number {
    const value = (this.one("name = ?", name)?.value ?? 0) + 1;
    this.put({ name, value });
    return value;
  }
}
