// Blobs in R2: which are complete, which are named by something, and which nothing names any more.
import type { BlobRef } from "../wire/blobs.ts";
import type { Turn } from "./turn.ts";

/** Whether all of them lie complete under the prefix. R2 verified each one's SHA-256, which ends its key, at the put. */
export async function allStored(bucket: R2Bucket, prefix: string, blobs: readonly BlobRef[]): Promise<boolean> {
  if (!blobs.every((blob) => blob.key === prefix + blob.sha256)) return false;
  const missing = new Map(blobs.map((blob) => [blob.key, blob.bytes]));
  let cursor: string | undefined;
  do {
    const page = await bucket.list(cursor === undefined ? { prefix } : { prefix, cursor });
    for (const object of page.objects) if (missing.get(object.key) === object.size) missing.delete(object.key);
    cursor = page.truncated ? page.cursor : undefined;
  } while (missing.size > 0 && cursor !== undefined);
  return missing.size === 0;
}

/** `owner` names these blobs from now on. */
export function pointTo(turn: Turn, owner: string, blobs: readonly BlobRef[]): void {
  for (const { key } of blobs) turn.tables.pointers.put({ key, owner });
}

/** `owner` reads what its description names of other runs, until it is done: those runs stay. */
export function reads(turn: Turn, { project, owner }: { project: string; owner: string }, description: object): void {
  // Keys of blobs begin with the project and the run.
  const named = JSON.stringify(description).matchAll(new RegExp(`"${project}/([0-9A-Za-z_]+)/`, "g"));
  const runs = new Set([...named].map(([, run]) => run ?? ""));
  turn.tables.readers.putAll([...runs].filter((run) => run !== owner).map((run) => ({ run, owner })));
}

/** `owner` is gone: blobs that nothing else names become garbage. */
export function forget(turn: Turn, owner: string): void {
  const { pointers } = turn.tables;
  const keys = pointers.all("owner = ?", owner).map((row) => row.key);
  pointers.remove("owner = ?", owner);
  for (const key of keys) if (pointers.count("key = ?", key) === 0) discard(turn, key, false);
}

/** Everything under a prefix becomes garbage: its owner is gone. */
export function discardPrefix(turn: Turn, prefix: string): void {
  // "0" follows "/", with which the prefix ends.
  turn.tables.pointers.remove("key >= ? AND key < ?", prefix, `${prefix.slice(0, -1)}0`);
  discard(turn, prefix, true);
}

function discard(turn: Turn, name: string, prefix: boolean): void {
  turn.tables.garbage.put({ name, prefix });
  turn.tables.due.soonest("garbage", "", turn.now);
}

/** Keys of one R2 delete. */
const DELETE_AT_ONCE = 1000;

/** Deletes some garbage and says what is gone for good: the caller forgets it. */
export async function removeGarbage(
  bucket: R2Bucket,
  garbage: readonly { name: string; prefix: boolean }[],
): Promise<string[]> {
  const keys = garbage.filter((entry) => !entry.prefix).map((entry) => entry.name);
  if (keys.length > 0) await bucket.delete(keys);
  const gone = [...keys];
  for (const { name, prefix } of garbage) {
    if (!prefix) continue;
    const page = await bucket.list({ prefix: name, limit: DELETE_AT_ONCE });
    if (page.objects.length > 0) await bucket.delete(page.objects.map((object) => object.key));
    if (!page.truncated) gone.push(name);
  }
  return gone;
}
