// Data sets as a resource: upload, list, show, page through rows, delete.
import { ApiError } from "../errors.ts";
import { blobKey, deleteBlobs, discardTeacherCache, getBlob, putBlob } from "../store/blobs.ts";
import { datasetUser, findDatasetRow, listDatasetRows, putDataset, removeDataset } from "../store/datasets.ts";
import { unknownCursor } from "../store/page.ts";
import { Row } from "../wire/datasets.ts";
import type { Dataset } from "../wire/datasets.ts";
import type { Context } from "./context.ts";
import { findDataset, storedSplit } from "./datasets.ts";
import type { StoredDataset, StoredSplit } from "./datasets.ts";
import { assertSameRequest, refusingTakenName } from "./idempotency.ts";
import { digest, resourceId, sha256 } from "./identity.ts";
import { forgetKnown } from "./known-logprobs.ts";
import { lines } from "./lines.ts";
import { page } from "./list.ts";
import { concat } from "./stream.ts";
import { readUpload } from "./upload.ts";
import type { SplitLines, Upload } from "./upload.ts";

export interface CreateDataset {
  name: string;
  /** The split of rows that name none. */
  split: string;
  body: ReadableStream<Uint8Array> | null;
}

/** Stores one split; its chunks are let go once they are joined. */
async function storeSplit(ctx: Context, dataset: string, split: string, lines: SplitLines): Promise<StoredSplit> {
  const bytes = concat(lines.chunks.splice(0));
  const digest = await sha256(bytes);
  const key = blobKey({ project: ctx.project.id, owner: dataset, fence: 0, sha256: digest });
  await putBlob(ctx.env.BLOBS, key, bytes, digest);
  return {
    dataset,
    split,
    rows: lines.rows,
    blob: { key, bytes: bytes.byteLength, sha256: digest },
    marks: lines.marks,
  };
}

async function storeSplits(ctx: Context, id: string, upload: Upload): Promise<StoredSplit[]> {
  const stored: StoredSplit[] = [];
  for (const [split, lines] of upload.splits) stored.push(await storeSplit(ctx, id, split, lines));
  return stored;
}

function datasetBody(id: string, name: string, now: number, upload: Upload): Dataset {
  return {
    id,
    object: "dataset",
    created_at: new Date(now).toISOString(),
    name,
    rows: upload.rows,
    format: upload.format,
    sha256: upload.sha256,
    splits: Object.fromEntries([...upload.splits].map(([split, { rows }]) => [split, rows])),
    skipped: [],
    ignored_fields: upload.ignored,
  };
}

/** The row is written last: it only ever names blobs that are complete. */
export async function createDataset(ctx: Context, request: CreateDataset): Promise<Dataset> {
  const now = Date.now();
  const id = await resourceId(ctx, "ds", "POST /v1/datasets");
  const upload = await readUpload(request.body, request.split);
  const requestDigest = await digest({ name: request.name, split: request.split, sha256: upload.sha256 });
  const made = await findDatasetRow(ctx.db, ctx.project.id, id);
  if (made !== null) {
    assertSameRequest(made, requestDigest, now);
    return made.body;
  }
  await refuseName(ctx, request.name);
  const body = datasetBody(id, request.name, now, upload);
  const splits = await storeSplits(ctx, id, upload);
  const row = {
    id,
    project: ctx.project.id,
    name: request.name,
    body,
    splits,
    bytes: upload.bytes,
    requestDigest,
    createdAt: now,
  };
  const stored = await refusingTakenName("data set", request.name, () => putDataset(ctx.db, row));
  assertSameRequest(stored, requestDigest, now);
  return stored.body;
}

/** Before anything is stored; the table's own constraint decides between two uploads at once. */
async function refuseName(ctx: Context, name: string): Promise<void> {
  const taken = await findDatasetRow(ctx.db, ctx.project.id, name);
  if (taken === null) return;
  throw new ApiError("name_taken", `name: there is a data set called ${name} already; choose another name.`, {
    param: "name",
  });
}

export async function listDatasets(ctx: Context, query: { after?: string | undefined; limit: number }) {
  const rows = await listDatasetRows(ctx.db, ctx.project.id, query.after, query.limit + 1);
  return page(
    rows.map((row) => row.body),
    query.limit,
  );
}

export async function deleteDataset(ctx: Context, id: string) {
  const row = await findDataset(ctx, id, "id");
  const user = await datasetUser(ctx.db, ctx.project.id, row.id, row.name);
  if (user !== null)
    throw new ApiError("in_use", `Data set ${row.name} is used by ${user}; delete that first.`, { param: "id" });
  // First: a deletion that is cut short here may be asked for again.
  await discardTeacherCache(ctx.env.BLOBS, ctx.project.id);
  await forgetKnown(ctx);
  await removeDataset(ctx.db, ctx.project.id, row.id);
  await deleteBlobs(
    ctx.env.BLOBS,
    row.splits.map(({ blob }) => blob.key),
  );
  return { id: row.id, object: "dataset", deleted: true as const };
}

/** Rows in the order of the upload. A page that begins at a mark reads only itself; any other looks for `after` from the start. */
export async function listRows(
  ctx: Context,
  dataset: StoredDataset,
  query: { split?: string | undefined; after?: string | undefined; limit: number },
) {
  const name = query.split ?? dataset.splits[0]?.split ?? "train";
  const { blob, marks } = storedSplit(dataset, name, "split");
  const mark = marks.find(({ after }) => after === query.after);
  const body = await getBlob(ctx.env.BLOBS, blob.key, mark === undefined ? undefined : { offset: mark.offset });
  // Rows are stored as this service writes them, so the id is always the first member.
  const sought = query.after === undefined || mark !== undefined ? null : `{"id":${JSON.stringify(query.after)},`;
  let found = sought === null;
  const rows: Row[] = [];
  for await (const line of lines(body)) {
    if (found) rows.push(Row.parse(JSON.parse(line.text)));
    else if (sought !== null) found = line.text.startsWith(sought);
    if (rows.length > query.limit) break;
  }
  if (!found && query.after !== undefined) throw unknownCursor(query.after);
  return page(rows, query.limit);
}
