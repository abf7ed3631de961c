// Changes on their way to D1, in order within a topic; and what was used, by day.
import { z } from "zod";
import type { OutboxEntry } from "../../store/outbox.ts";
import { Table, flag, json, time } from "./table.ts";

const OutboxRow = z.object({
  /** Also the entry's `rev`: it only grows. */
  seq: z.int(),
  /** The resource that it is about. */
  topic: z.string(),
  kind: z.string(),
  /** Written by the pool itself, so not parsed again. */
  entry: json(z.custom<OutboxEntry>()),
  attempts: z.int(),
  next_at: time,
  error: z.string().nullable(),
});
export type OutboxRow = z.output<typeof OutboxRow>;

const UsageRow = z.object({ project: z.string(), day: z.string(), meter: z.string(), total: z.int() });
const PointerRow = z.object({ key: z.string(), owner: z.string() });
const GarbageRow = z.object({ name: z.string(), prefix: flag });

export class Outbox extends Table<typeof OutboxRow> {
  constructor(sql: SqlStorage) {
    super(sql, "outbox", OutboxRow);
  }

  /** The oldest rows that may be tried: none behind one of the same topic that waits for its next try. */
  ready(now: number, limit: number): OutboxRow[] {
    return this.all(
      `next_at <= ? AND NOT EXISTS (
         SELECT 1 FROM outbox AS earlier
         WHERE earlier.topic = outbox.topic AND earlier.seq < outbox.seq AND earlier.next_at > ?)
       ORDER BY seq LIMIT ?`,
      now,
      now,
      limit,
    );
  }

  /** When the next row may be tried; null for an empty outbox. */
  nextAt(): number | null {
    return this.one("true ORDER BY next_at")?.next_at ?? null;
  }
}

export class Usage extends Table<typeof UsageRow> {
  constructor(sql: SqlStorage) {
    super(sql, "usage", UsageRow);
  }

  /** Adds to a meter and returns its new total. */
  add(project: string, day: string, meter: string, tokens: number): number {
    const total = (this.one("project = ? AND day = ? AND meter = ?", project, day, meter)?.total ?? 0) + tokens;
    this.put({ project, day, meter, total });
    return total;
  }
}

/** Which stored thing names which blob: a blob that nothing names any more is removed. */
export class Pointers extends Table<typeof PointerRow> {
  constructor(sql: SqlStorage) {
    super(sql, "pointers", PointerRow);
  }
}

export class Garbage extends Table<typeof GarbageRow> {
  constructor(sql: SqlStorage) {
    super(sql, "garbage", GarbageRow);
  }
}
