// Data sets as other services use them: found by name, read by split.
import { ApiError } from "../errors.ts";
import { getBlob } from "../store/blobs.ts";
import { findDatasetRow } from "../store/datasets.ts";
import type { DatasetRow } from "../store/datasets.ts";
import { Row } from "../wire/datasets.ts";
import type { SplitRef } from "../wire/datasets.ts";
import type { Context } from "./context.ts";
import { hex } from "./identity.ts";
import { lines } from "./lines.ts";

export type StoredDataset = DatasetRow;
export type StoredSplit = DatasetRow["splits"][number];

export async function findDataset(ctx: Context, idOrName: string, param: string): Promise<StoredDataset> {
  const row = await findDatasetRow(ctx.db, ctx.project.id, idOrName);
  if (row !== null) return row;
  throw new ApiError("not_found", `${param}: the project has no data set ${idOrName}; see GET /v1/datasets.`, {
    param,
  });
}

export function storedSplit(dataset: StoredDataset, split: string, param: string): StoredSplit {
  const stored = dataset.splits.find((candidate) => candidate.split === split);
  if (stored !== undefined) return stored;
  const names = dataset.splits.map((candidate) => candidate.split).join(", ");
  throw new ApiError("not_found", `${param}: data set ${dataset.name} has no split ${split}; it has ${names}.`, {
    param,
  });
}

/** What a worker needs to read the split. */
export function splitRef(dataset: StoredDataset, split: string, param: string): SplitRef {
  const { blob, rows } = storedSplit(dataset, split, param);
  return { dataset: dataset.id, split, rows, blob };
}

/** The first `limit` rows of a split (null: all), in the order of the upload; the whole blob is verified whatever the limit. */
export async function readSplit(ctx: Pick<Context, "env">, ref: SplitRef, limit: number | null): Promise<Row[]> {
  const { key, sha256 } = ref.blob;
  const body = await getBlob(ctx.env.BLOBS, key);
  const digest = new crypto.DigestStream("SHA-256");
  const writer = digest.getWriter();
  const rows: Row[] = [];
  for await (const line of lines(body, async (chunk) => writer.write(chunk))) {
    if (limit === null || rows.length < limit) rows.push(Row.parse(JSON.parse(line.text)));
  }
  await writer.close();
  if (hex(await digest.digest) !== sha256) throw new Error(`blob ${key} does not have its digest`);
  return rows;
}
