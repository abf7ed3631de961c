// Request bodies, read under a cap: what is too large is refused while reading, whatever Content-Length said.
import { ApiError } from "../errors.ts";

const tooLarge = (maxBytes: number, what: string): ApiError =>
  new ApiError("too_large", `${what} is larger than ${maxBytes} bytes; send less at once.`);

/** The chunks of a body; throws 413 as soon as they exceed `maxBytes`. */
export async function* capped(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
  what: string,
): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  let total = 0;
  for await (const chunk of body) {
    total += chunk.byteLength;
    if (total > maxBytes) throw tooLarge(maxBytes, what);
    yield chunk;
  }
}

/** A whole body in memory. */
export async function readAll(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
  what: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of capped(body, maxBytes, what)) chunks.push(chunk);
  return concat(chunks);
}

export function concat(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}
