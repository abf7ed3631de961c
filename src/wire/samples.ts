// Answers that models draw for a run: stored and journaled before the first step that reads them.
import { z } from "zod";
import { BlobRef } from "./blobs.ts";

export const SamplesSource = z.enum(["student", "teacher"]).meta({ id: "SamplesSource" });

/** Responses drawn before step `n` and stored before it ran: the student's for the block of steps that begins at n,
 * or the teacher's for those rows of the block that it had not answered yet. */
export const SamplesRef = z
  .strictObject({ source: SamplesSource, n: z.int().min(1), blob: BlobRef })
  .meta({ id: "SamplesRef", description: "the blob is the JSON of SampledRows" });

export const SampledRow = z
  .strictObject({
    place: z.int().min(0).meta({ description: "(step - 1) * batch_size + index in the batch; for the teacher 0" }),
    row: z.string(),
    ids: z.array(z.int().min(0)).min(1),
  })
  .meta({ id: "SampledRow" });

export const SampledRows = z.strictObject({ rows: z.array(SampledRow).min(1) }).meta({ id: "SampledRows" });

export type SamplesRef = z.infer<typeof SamplesRef>;
