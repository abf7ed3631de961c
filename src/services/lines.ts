// Lines of a byte stream, as UTF-8, numbered from 1.
import { ApiError } from "../errors.ts";
import { concat } from "./stream.ts";

const NEWLINE = 10;

export interface Line {
  number: number;
  text: string;
}

function decoded(number: number, pieces: readonly Uint8Array[]): Line {
  try {
    // A byte-order mark before the first line is dropped by the decoder.
    return { number, text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(concat(pieces)) };
  } catch (cause) {
    throw new ApiError("invalid_row", `line ${number}: it is not valid UTF-8; save the file as UTF-8.`, {
      param: `line ${number}`,
      cause,
    });
  }
}

/** Splits at newlines; the last line may lack one. `seen` is given each chunk once, in order, before its lines. */
export async function* lines(
  chunks: AsyncIterable<Uint8Array>,
  seen: (chunk: Uint8Array) => Promise<void> = () => Promise.resolve(),
): AsyncGenerator<Line> {
  let pieces: Uint8Array[] = [];
  let number = 1;
  for await (const chunk of chunks) {
    await seen(chunk);
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      yield decoded(number, [...pieces, chunk.subarray(start, end)]);
      pieces = [];
      number += 1;
      start = end + 1;
    }
    if (start < chunk.byteLength) pieces.push(chunk.subarray(start));
  }
  if (pieces.length > 0) yield decoded(number, pieces);
}
