// R2: immutable blobs at keys that the server makes, `<project>/<owner>/<fence>/<sha256>`.
export interface BlobPlace {
  project: string;
  owner: string;
  fence: number;
  sha256: string;
}

export const blobKey = (place: BlobPlace): string => `${place.project}/${place.owner}/${place.fence}/${place.sha256}`;

/** The second part of the key of a teacher's cached work. No owner has this name: owners are ids, which have a prefix. */
export const TEACHER_CACHE = "teacher_cache";

/** Where the teacher's work on one sequence lies; `key` is the digest of all that determines it. */
export const teacherCacheKey = (project: string, key: string): string => `${project}/${TEACHER_CACHE}/${key}`;

/** Create-only put that R2 verifies; returns the size of what is there. A blob already at the key has the same content,
 * since the key names its digest. Throws what R2 throws where the content has another digest. */
export async function putBlob(
  bucket: R2Bucket,
  key: string,
  body: ReadableStream | Uint8Array,
  sha256: string,
): Promise<number> {
  const stored =
    (await bucket.put(key, body, { sha256, onlyIf: { etagDoesNotMatch: "*" } })) ?? (await bucket.head(key));
  if (stored === null) throw new Error(`blob ${key} went away while it was stored`);
  return stored.size;
}

/** The blob's bytes; throws if it is gone, which is our fault: a pointer only ever names a complete object. */
export async function getBlob(bucket: R2Bucket, key: string, range?: R2Range): Promise<ReadableStream<Uint8Array>> {
  const object = await bucket.get(key, range === undefined ? {} : { range });
  if (object === null) throw new Error(`blob ${key} is gone`);
  return object.body;
}

/** Keys that one call of R2 deletes. */
const DELETE_AT_ONCE = 1000;

export async function deleteBlobs(bucket: R2Bucket, keys: readonly string[]): Promise<void> {
  for (let at = 0; at < keys.length; at += DELETE_AT_ONCE) await bucket.delete(keys.slice(at, at + DELETE_AT_ONCE));
}

/** In the place of a project: what the service keeps for itself. */
export const OWN_PROJECT = "sweep";
const EMPTIED = `${OWN_PROJECT}/${TEACHER_CACHE}/`;

/** The next sweep empties the project's teacher cache: which entries came from what is gone, their keys do not tell. */
export async function discardTeacherCache(bucket: R2Bucket, project: string): Promise<void> {
  await bucket.put(`${EMPTIED}${project}`, "");
}

/** Empties the caches that are to be, `pages` of R2's listing at the most; what is left waits for the next call. */
export async function emptyTeacherCaches(bucket: R2Bucket, pages: number): Promise<void> {
  const { objects: marks } = await bucket.list({ prefix: EMPTIED });
  let left = pages;
  for (const { key: mark } of marks) {
    const prefix = teacherCacheKey(mark.slice(EMPTIED.length), "");
    let more = true;
    for (; more && left > 0; left--) {
      const page = await bucket.list({ prefix });
      await deleteBlobs(
        bucket,
        page.objects.map(({ key }) => key),
      );
      more = page.truncated;
    }
    if (!more) await bucket.delete(mark);
  }
}
