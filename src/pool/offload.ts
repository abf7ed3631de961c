// A lease whose payload is too large for a frame travels as a blob of the payload's JSON.
import { MAX_INLINE_BYTES } from "../config.ts";
import { blobKey, putBlob } from "../store/blobs.ts";
import type { Lease } from "../wire/pool.ts";
import { setBack } from "./endings.ts";
import type { JobRow } from "./tables/jobs.ts";
import type { Turn } from "./turn.ts";

/** A UTF-16 unit takes at most three bytes. */
const LONGEST = 3;

const encoder = new TextEncoder();

/** The payload's JSON, if it may not travel in the frame. */
export function oversize({ payload }: Lease): Uint8Array | null {
  if (payload === null) return null;
  const json = JSON.stringify(payload);
  if (json.length * LONGEST <= MAX_INLINE_BYTES) return null;
  const bytes = encoder.encode(json);
  return bytes.length > MAX_INLINE_BYTES ? bytes : null;
}

/** Stores the payload under the lease's own prefix; nothing names it, so the sweep takes it a day later. */
export async function offload(bucket: R2Bucket, lease: Lease, bytes: Uint8Array): Promise<Lease> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const owner = lease.payload?.kind === "train" ? lease.payload.run : lease.job;
  const key = blobKey({ project: lease.project, owner, fence: lease.fence, sha256 });
  await putBlob(bucket, key, bytes, sha256);
  return { ...lease, payload: null, artifact: { key, bytes: bytes.length, sha256 } };
}

/** The stored payload's lease may be over by now: its worker must not begin then. */
export function sendStored(turn: Turn, boot: string, lease: Lease): void {
  if (liveJob(turn, boot, lease) !== null) turn.send(boot, lease);
}

export function giveBackUnstored(turn: Turn, boot: string, lease: Lease): void {
  const job = liveJob(turn, boot, lease);
  if (job === null) return;
  setBack(turn, job, { kind: "interruption", detail: "its payload could not be stored" });
}

function liveJob(turn: Turn, boot: string, { job, fence }: Lease): JobRow | null {
  const live = turn.tables.leases.of(job);
  return live?.boot === boot && live.fence === fence ? turn.tables.jobs.get(job) : null;
}
