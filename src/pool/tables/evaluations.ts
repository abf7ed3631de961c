// Evaluations and their fixed batches.
import { z } from "zod";
import { AnyEvaluation } from "../../wire/preference-evaluations.ts";
import { GenerateItem, GeneratePayload } from "../../wire/batches.ts";
import { PreferItem, PreferPayload } from "../../wire/pairs.ts";
import { Table, flag, json, time } from "./table.ts";
import type { Door } from "./table.ts";

/** What every batch shares. */
const Task = z.discriminatedUnion("kind", [
  GeneratePayload.omit({ batches: true }),
  PreferPayload.omit({ batches: true }),
]);

const EvaluationRow = z.object({
  id: z.string(),
  project: z.string(),
  digest: z.string(),
  identity: z.string().nullable(),
  body: json(AnyEvaluation),
  payload: json(Task),
  created_at: time,
});
export type EvaluationRow = z.output<typeof EvaluationRow>;

const BatchRow = z.object({
  evaluation: z.string(),
  batch: z.int(),
  items: json(z.union([z.array(GenerateItem), z.array(PreferItem)])),
  /** Size of `items`. */
  bytes: z.int(),
  committed: flag,
});
export type BatchRow = z.output<typeof BatchRow>;

export class Evaluations extends Table<typeof EvaluationRow> {
  constructor(door: Door) {
    super(door, "evaluations", EvaluationRow);
  }

  get(id: string): EvaluationRow | null {
    return this.one("id = ?", id);
  }

  /** Asking again returns it, unless it came to nothing. */
  same(project: string, identity: string): EvaluationRow | null {
    const rows = this.all("project = ? AND identity = ? ORDER BY created_at", project, identity);
    return rows.find((row) => row.body.status !== "failed" && row.body.status !== "cancelled") ?? null;
  }
}

export class Batches extends Table<typeof BatchRow> {
  constructor(door: Door) {
    super(door, "batches", BatchRow);
  }

  get(evaluation: string, batch: number): BatchRow | null {
    return this.one("evaluation = ? AND batch = ?", evaluation, batch);
  }

  open(evaluation: string, limit: number): BatchRow[] {
    return this.all("evaluation = ? AND committed = 0 ORDER BY batch LIMIT ?", evaluation, limit);
  }

  openCount(evaluation: string): number {
    return this.count("evaluation = ? AND committed = 0", evaluation);
  }
}
