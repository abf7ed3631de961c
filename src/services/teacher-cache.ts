// The frozen teacher's work, shared between a project's workers: created once, verified by R2, never read by another project.
import { ApiError } from "../errors.ts";
import { putBlob, teacherCacheKey } from "../store/blobs.ts";
import { assertAnnounced, authorize, isDigestMismatch } from "./blobs.ts";
import type { BlobWorker, PutBlob } from "./blobs.ts";
import { hex } from "./identity.ts";

/** An entry's place, and the live lease that gives the right to it. */
export interface CacheEntry {
  key: string;
  owner: string;
  fence: number;
}

/** Create-only: an entry that is there already stays, since its key names all that its bits depend on. */
export async function storeEntry(
  worker: BlobWorker,
  { key, owner, fence }: CacheEntry,
  { sha256, body, bytes }: Pick<PutBlob, "sha256" | "body" | "bytes">,
): Promise<void> {
  assertAnnounced(bytes);
  const project = await authorize(worker, owner, fence);
  try {
    await putBlob(worker.env.BLOBS, teacherCacheKey(project, key), body ?? new Uint8Array(), sha256);
  } catch (cause) {
    if (!isDigestMismatch(cause)) throw cause;
    const message = "The bytes do not have the SHA-256 that x-content-sha256 says; nothing was stored.";
    throw new ApiError("digest_mismatch", message, { cause });
  }
}

/** The entry with the SHA-256 under which it was stored. */
export async function readEntry(
  worker: BlobWorker,
  { key, owner, fence }: CacheEntry,
): Promise<{ object: R2ObjectBody; sha256: string }> {
  const project = await authorize(worker, owner, fence);
  const object = await worker.env.BLOBS.get(teacherCacheKey(project, key));
  if (object === null) throw new ApiError("not_found", `The teacher cache has no entry ${key}.`);
  const { sha256 } = object.checksums;
  if (sha256 === undefined) throw new Error(`teacher cache entry ${key} was stored without its digest`);
  return { object, sha256: hex(sha256) };
}
