// Files that are kept as parts in R2, handed out one after another.
import { ApiError } from "../errors.ts";
import { getBlob } from "../store/blobs.ts";
import type { FileRef } from "../wire/blobs.ts";
import type { Context } from "./context.ts";

export interface Download {
  file: FileRef;
  /** Begins to read; call it once, and not at all where the client has the file. */
  open: () => ReadableStream<Uint8Array>;
}

/** Writes the parts one after another; a reader that goes away, or a part that is gone, ends it. */
async function copyParts(bucket: R2Bucket, file: FileRef, writable: WritableStream<Uint8Array>): Promise<void> {
  try {
    for (const part of file.parts) await (await getBlob(bucket, part.key)).pipeTo(writable, { preventClose: true });
    await writable.close();
  } catch (cause) {
    await writable.abort(cause).catch(() => undefined);
  }
}

/** The file of this name; `owner` is whose files they are, as an error says it. */
export function download(ctx: Context, files: readonly FileRef[], name: string, owner: string): Download {
  const file = files.find((candidate) => candidate.name === name);
  if (file === undefined) {
    const names = files.map((candidate) => candidate.name).join(", ");
    throw new ApiError("not_found", `${owner} has no file ${name}; it has ${names}.`);
  }
  const open = () => {
    const { readable, writable } = new FixedLengthStream(file.bytes);
    void copyParts(ctx.env.BLOBS, file, writable);
    return readable;
  };
  return { file, open };
}
