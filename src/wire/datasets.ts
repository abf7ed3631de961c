// Data sets: what a JSONL line may be, and the one row that every line becomes.
import { z } from "zod";
import { BlobRef } from "./blobs.ts";
import { Id, Name, Prompt, Sha256, Timestamp, listOf, text } from "./common.ts";

const RowText = text(200_000);

/** Formats recognised by their fields; see `src/services/rows.ts` for the recogniser. */
export const DatasetFormat = z
  .enum(["prompt_completion", "prompt_chosen_rejected", "messages", "openai_preference", "instruction"])
  .meta({ id: "DatasetFormat" });

export const RowId = z
  .string()
  .regex(/^[0-9A-Za-z][0-9A-Za-z._:-]{0,127}$/)
  .meta({ id: "RowId" });

/** One example. `response` is what CE and y_t use (`chosen` of a pair); `references` are the answers that count as right. */
export const Row = z
  .strictObject({
    id: RowId,
    split: Name,
    prompt: Prompt,
    response: RowText,
    rejected: z.union([RowText, z.null()]),
    references: z.array(RowText).min(1).max(64),
  })
  .meta({ id: "Row" });

export const RowList = listOf(Row).meta({ id: "RowList" });

export const Dataset = z
  .strictObject({
    id: Id,
    object: z.enum(["dataset"]),
    created_at: Timestamp,
    name: Name,
    rows: z.int().min(1),
    format: DatasetFormat,
    sha256: Sha256,
    splits: z.record(Name, z.int().min(1)),
    skipped: z.array(z.strictObject({ line: z.int().min(1), reason: z.string() })),
    ignored_fields: z.array(z.string()).meta({ description: "columns that the format does not use, kept out" }),
  })
  .meta({ id: "Dataset" });

export const DatasetList = listOf(Dataset).meta({ id: "DatasetList" });

/** A split as a worker reads it: JSON Lines of `Row`, in the order of the upload. */
export const SplitRef = z
  .strictObject({ dataset: Id, split: Name, rows: z.int().min(1), blob: BlobRef })
  .meta({ id: "SplitRef" });

export type Row = z.infer<typeof Row>;
export type Dataset = z.infer<typeof Dataset>;
export type DatasetFormat = z.infer<typeof DatasetFormat>;
export type SplitRef = z.infer<typeof SplitRef>;
