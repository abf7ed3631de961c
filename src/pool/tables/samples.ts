// Responses that a run trains on and a model drew: one row a block and source.
import { z } from "zod";
import { BlobRef } from "../../wire/blobs.ts";
import { SamplesSource } from "../../wire/samples.ts";
import type { SamplesRef } from "../../wire/samples.ts";
import { Table, flag, json } from "./table.ts";
import type { Door } from "./table.ts";

const SamplesRow = z.object({
  run: z.string(),
  /** The lineage that drew them. */
  lineage: z.int(),
  source: SamplesSource,
  n: z.int(),
  blob: json(BlobRef),
  /** No step of the run's present lineage reads them. */
  superseded: flag,
});
export type SamplesRow = z.output<typeof SamplesRow>;

export class Samples extends Table<typeof SamplesRow> {
  constructor(door: Door) {
    super(door, "samples", SamplesRow);
  }

  at(run: string, { source, n }: Pick<SamplesRef, "source" | "n">): SamplesRow | null {
    return this.one("run = ? AND source = ? AND n = ? AND superseded = 0", run, source, n);
  }

  /** What steps after `step` may read: all of the teacher's, and the student's from the block of step + 1 on. */
  after(run: string, step: number): SamplesRow[] {
    const block = "SELECT coalesce(max(n), 0) FROM samples WHERE run = ? AND source = 'student' AND superseded = 0";
    return this.all(
      `run = ? AND superseded = 0 AND (source = 'teacher' OR n >= (${block} AND n <= ?)) ORDER BY source DESC, n`,
      run,
      run,
      step + 1,
    );
  }

  /** A new lineage begins after step `from`: its student draws its own. What a teacher said stays true. */
  supersede(run: string, from: number): void {
    this.patch({ superseded: true }, "run = ? AND source = 'student' AND superseded = 0 AND n > ?", run, from);
  }
}
