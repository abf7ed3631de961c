// The files of an artifact out of R2, every byte verified: each part's SHA-256, and the file's own where it has several.
import type { BlobRef, FileRef } from "../wire/blobs.ts";

/** Bytes that are read at once, and kept as one piece: weights are freed piece by piece. */
const PIECE = 64 * 1024;

/** The bytes of a file, in pieces. Throws if a part is gone or differs from its digest, which names no content. */
export async function readFile(bucket: R2Bucket, file: FileRef): Promise<Uint8Array<ArrayBuffer>[]> {
  const whole = file.parts.length > 1 ? new Digest() : null;
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (const part of file.parts) {
    for (const piece of await readPart(bucket, part)) {
      await whole?.add(piece);
      pieces.push(piece);
    }
  }
  const found = whole === null ? file.parts[0]?.sha256 : await whole.end();
  if (found !== file.sha256) throw new Error(`file ${file.name}: its digest is not ${file.sha256}`);
  return pieces;
}

async function readPart(bucket: R2Bucket, part: BlobRef): Promise<Uint8Array<ArrayBuffer>[]> {
  const object = await bucket.get(part.key);
  if (object === null) throw new Error(`blob ${part.key} is gone`);
  const reader = object.body.getReader({ mode: "byob" });
  const digest = new Digest();
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (;;) {
    const { value } = await reader.readAtLeast(PIECE, new Uint8Array(PIECE));
    if (value === undefined || value.length === 0) break;
    await digest.add(value);
    pieces.push(value);
  }
  if ((await digest.end()) !== part.sha256) throw new Error(`blob ${part.key} has another content than its name says`);
  return pieces;
}

const hex = (bytes: ArrayBuffer): string =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** SHA-256 of what is added. */
class Digest {
  readonly #stream = new crypto.DigestStream("SHA-256");
  readonly #writer = this.#stream.getWriter();

  add(piece: Uint8Array): Promise<void> {
    return this.#writer.write(piece);
  }

  async end(): Promise<string> {
    await this.#writer.close();
    return hex(await this.#stream.digest);
  }
}
