// Changes on their way to D1, in order within a topic; and what was used, by day.
import { z } from "zod";
import type { OutboxEntry } from "../../store/outbox.ts";
import { Table, flag, json, time } from "./table.ts";
import type { Door } from "./table.ts";

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

const Attempts = z.object({ attempts: z.int() });
const NextAt = z.object({ next_at: time });
const UsageRow = z.object({ project: z.string(), day: z.string(), meter: z.string(), total: z.int() });
const PointerRow = z.object({ key: z.string(), owner: z.string() });
const ReaderRow = z.object({ run: z.string(), owner: z.string() });
const GarbageRow = z.object({ name: z.string(), prefix: flag });

export class Outbox extends Table<typeof OutboxRow> {
  constructor(door: Door) {
    super(door, "outbox", OutboxRow);
  }

  /** The oldest rows that may be tried. Within a topic none comes due before one that stands before it: `park` and `after`. */
  ready(now: number, limit: number): OutboxRow[] {
    return this.all("next_at <= ? ORDER BY next_at, seq LIMIT ?", now, limit);
  }

  /** It is tried again at `at`, and what follows it in its topic no sooner. */
  park({ seq, topic, attempts }: { seq: number; topic: string; attempts: number }, at: number, error: string): void {
    this.patch({ attempts: attempts + 1, error }, "seq = ?", seq);
    this.patch({ next_at: at }, "topic = ? AND seq >= ? AND next_at < ?", topic, seq, at);
  }

  /** When what is said last of a topic may be tried: no sooner than what was said before. */
  after(topic: string): number {
    const last = this.query("SELECT next_at FROM outbox WHERE topic = ? ORDER BY seq DESC LIMIT 1", [topic], NextAt)[0];
    return last?.next_at ?? 0;
  }

  /** Removes the entry of this topic and kind that a newer one replaces, and says how often it was tried. */
  take(topic: string, kind: string): number {
    const statement = "DELETE FROM outbox WHERE topic = ? AND kind = ? RETURNING attempts";
    return this.query(statement, [topic, kind], Attempts)[0]?.attempts ?? 0;
  }

  /** When the next row may be tried; null for an empty outbox. */
  nextAt(): number | null {
    return this.one("true ORDER BY next_at")?.next_at ?? null;
  }
}

export class Usage extends Table<typeof UsageRow> {
  constructor(door: Door) {
    super(door, "usage", UsageRow);
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
  constructor(door: Door) {
    super(door, "pointers", PointerRow);
  }
}

/** Which unfinished work reads checkpoints of which run. */
export class Readers extends Table<typeof ReaderRow> {
  constructor(door: Door) {
    super(door, "readers", ReaderRow);
  }

  /** Whether anything but the run itself reads them. */
  any(run: string): boolean {
    return this.one("run = ?", run) !== null;
  }

  done(owner: string): void {
    this.remove("owner = ?", owner);
  }
}

export class Garbage extends Table<typeof GarbageRow> {
  constructor(door: Door) {
    super(door, "garbage", GarbageRow);
  }
}
