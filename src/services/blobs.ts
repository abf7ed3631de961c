// Blobs of workers: stored under a live lease's fence, verified by R2, immutable.
import { MAX_BLOB_BYTES } from "../config.ts";
import type { Env } from "../env.ts";
import { ApiError } from "../errors.ts";
import { blobKey, putBlob } from "../store/blobs.ts";
import type { BlobPlace } from "../store/blobs.ts";
import { poolOf, DEFAULT_POOL } from "./context.ts";
import type { Project } from "./context.ts";

/** A worker key: a project's own, or a shared one (`project` null). */
export interface BlobWorker {
  env: Env;
  key: string;
  project: Project | null;
}

export interface PutBlob {
  owner: string;
  fence: number;
  sha256: string;
  body: ReadableStream<Uint8Array> | null;
  /** Content-Length: R2 stores a stream of known length only, and never more than was announced. */
  bytes: number | null;
}

/** R2's refusal of content whose SHA-256 is not the announced one. */
export const isDigestMismatch = (error: unknown): boolean =>
  error instanceof Error && /checksum|SHA-?256/i.test(error.message);

export function assertAnnounced(bytes: number | null): void {
  if (bytes === null) {
    throw new ApiError("invalid_request", "Content-Length: send the blob's size.", { param: "Content-Length" });
  }
  if (bytes > MAX_BLOB_BYTES) {
    throw new ApiError("too_large", `A blob is ${MAX_BLOB_BYTES} bytes at the most; store a larger file in parts.`);
  }
}

/** The owner's project, if this worker holds its live lease at this fence. */
export async function authorize(worker: BlobWorker, owner: string, fence: number): Promise<string> {
  const pool = poolOf(worker.env, worker.project?.pool ?? DEFAULT_POOL);
  const project = await pool.authorizeBlob(worker.key, owner, fence);
  if (project !== null && (worker.project === null || worker.project.id === project)) return project;
  throw new ApiError("stale_fence", `This worker holds no live lease of ${owner} at fence ${fence}; stop that work.`);
}

/** Create-only; the same content already there is a success. */
export async function storeBlob(worker: BlobWorker, put: PutBlob) {
  assertAnnounced(put.bytes);
  const project = await authorize(worker, put.owner, put.fence);
  const key = blobKey({ project, owner: put.owner, fence: put.fence, sha256: put.sha256 });
  try {
    const bytes = await putBlob(worker.env.BLOBS, key, put.body ?? new Uint8Array(), put.sha256);
    return { object: "blob" as const, key, bytes, sha256: put.sha256 };
  } catch (cause) {
    if (!isDigestMismatch(cause)) throw cause;
    throw new ApiError("digest_mismatch", "The bytes do not have the SHA-256 in the path; nothing was stored.", {
      cause,
    });
  }
}

/** A project's own worker key reads that project alone; a shared one reads all. */
export async function readBlob(worker: BlobWorker, place: BlobPlace): Promise<R2ObjectBody> {
  const key = blobKey(place);
  const foreign = worker.project !== null && worker.project.id !== place.project;
  const object = foreign ? null : await worker.env.BLOBS.get(key);
  if (object === null) throw new ApiError("not_found", `There is no blob ${key}.`);
  return object;
}
