// What the evaluations of a run's checkpoints came to.
import { z } from "zod";
import type { BestCheckpoint } from "../../wire/runs.ts";
import { Table } from "./table.ts";
import type { Door } from "./table.ts";

const CandidateRow = z.object({
  run: z.string(),
  lineage: z.int(),
  step: z.int(),
  value: z.number(),
  evaluation: z.string(),
});

export class Candidates extends Table<typeof CandidateRow> {
  constructor(door: Door) {
    super(door, "candidates", CandidateRow);
  }

  /** Of those whose checkpoint is not superseded, the one of the greatest value; a tie goes to the earlier step. */
  best(run: string): BestCheckpoint | null {
    const there = `SELECT 1 FROM states WHERE kind = 'checkpoint' AND superseded = 0 AND states.run = candidates.run
      AND states.lineage = candidates.lineage AND states.step = candidates.step`;
    const row = this.one(`run = ? AND EXISTS (${there}) ORDER BY value DESC, step`, run);
    if (row === null) return null;
    const { step, lineage, value, evaluation } = row;
    return { step, lineage, value, evaluation };
  }

  /** Of two evaluations of one checkpoint the better counts, in whatever order they come. */
  add(run: string, candidate: BestCheckpoint): void {
    const { lineage, step, value } = candidate;
    const there = this.one("run = ? AND lineage = ? AND step = ?", run, lineage, step);
    if (there === null || value > there.value) this.put({ run, ...candidate });
  }
}
