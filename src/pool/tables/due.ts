// What happens at a time, and counters.
import { z } from "zod";
import { Table, time } from "./table.ts";
import type { Door } from "./table.ts";

const DueRow = z.object({
  /** hold: a disconnected boot's fences end. wake: a job's pause is over, or (no key) a schedule may come out otherwise.
   * reader: nobody reads a streamed job any more. settle: jobs of a run are over with it. outbox, garbage: work for the alarm. */
  kind: z.enum(["hold", "wake", "reader", "settle", "outbox", "garbage"]),
  key: z.string(),
  at: time,
});
export type DueRow = z.output<typeof DueRow>;

const CounterRow = z.object({ name: z.string(), value: z.int() });

export class Due extends Table<typeof DueRow> {
  constructor(door: Door) {
    super(door, "due", DueRow);
  }

  set(kind: DueRow["kind"], key: string, at: number): void {
    this.put({ kind, key, at });
  }

  /** Sets it unless it is due earlier already. */
  soonest(kind: DueRow["kind"], key: string, at: number): void {
    const row = this.one("kind = ? AND key = ?", kind, key);
    if (row === null || row.at > at) this.set(kind, key, at);
  }

  /** Whether the time of the alarm's own work has come. */
  isOver(kind: "outbox" | "garbage", now: number): boolean {
    return this.one("kind = ? AND key = '' AND at <= ?", kind, now) !== null;
  }

  clear(kind: DueRow["kind"], key: string): void {
    this.remove("kind = ? AND key = ?", kind, key);
  }

  /** Some of those whose time has come, not the alarm's own, removed from the table. */
  take(now: number, limit: number): DueRow[] {
    const mine = "at <= ? AND kind IN ('hold', 'wake', 'reader', 'settle')";
    const rows = this.all(`${mine} ORDER BY at LIMIT ?`, now, limit);
    for (const row of rows) this.clear(row.kind, row.key);
    return rows;
  }

  next(): number | null {
    return this.one("true ORDER BY at")?.at ?? null;
  }
}

/** Numbers of a block: one row is written for so many. */
const BLOCK = 64;

/** Numbers that only grow, also over restarts, though some may never be used. */
export class Counters extends Table<typeof CounterRow> {
  /** The last number given, and the last of the block that is written down. */
  readonly #blocks = new Map<string, { value: number; last: number }>();

  constructor(door: Door) {
    super(door, "counters", CounterRow);
  }

  next(name: string): number {
    let block = this.#blocks.get(name);
    if (block === undefined || block.value === block.last) {
      const value = block?.value ?? this.one("name = ?", name)?.value ?? 0;
      block = { value, last: value + BLOCK };
      this.put({ name, value: block.last });
      this.#blocks.set(name, block);
    }
    block.value += 1;
    return block.value;
  }

  /** After a rollback: the row may not hold what was written meanwhile. */
  forget(): void {
    this.#blocks.clear();
  }
}
