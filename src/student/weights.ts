// Weights on their way into the runtime, without a second copy.
//
// onnxruntime-web copies each tensor out of the files that it is given into its own memory while a session is created,
// once, in no order of ours. What it has read is freed here at once, so that the two copies never lie side by side.

/** One file of weights, as onnxruntime-web reads it: by `byteLength` and `subarray` alone. Each byte can be read once. */
class WeightsFile extends Uint8Array<ArrayBuffer> {
  readonly #pieces: Piece[] = [];
  readonly #loan: Loan;

  constructor(pieces: readonly Uint8Array<ArrayBuffer>[], loan: Loan) {
    super(new ArrayBuffer(0));
    this.#loan = loan;
    let end = 0;
    for (const { buffer, byteLength } of pieces) {
      this.#pieces.push({ start: end, buffer, left: byteLength, size: byteLength });
      end += byteLength;
    }
    Object.defineProperty(this, "byteLength", { value: end });
  }

  override subarray(begin = 0, end = this.byteLength): Uint8Array<ArrayBuffer> {
    const lent = this.#loan.lend(end - begin);
    for (const piece of this.#pieces) {
      const from = Math.max(begin, piece.start);
      const size = Math.min(end, piece.start + piece.size) - from;
      if (size <= 0) continue;
      if (piece.buffer.detached) throw new Error("these weights have been read before");
      lent.set(new Uint8Array(piece.buffer, from - piece.start, size), from - begin);
      piece.left -= size;
      if (piece.left <= 0) free(piece.buffer);
    }
    return lent;
  }
}

interface Piece {
  start: number;
  size: number;
  buffer: ArrayBuffer;
  /** Bytes that have not been read. */
  left: number;
}

/** The tensor that the runtime is copying: it is done with one when it asks for the next. */
class Loan {
  #lent = new Uint8Array(0);

  lend(bytes: number): Uint8Array<ArrayBuffer> {
    free(this.#lent.buffer);
    this.#lent = new Uint8Array(bytes);
    return this.#lent;
  }
}

/** Gives the memory back now; garbage collection would come too late. */
function free(buffer: ArrayBuffer): void {
  if (!buffer.detached) buffer.transfer(0);
}

export interface InPieces {
  name: string;
  pieces: readonly Uint8Array<ArrayBuffer>[];
}

/** What `externalData` of a session's options takes. The pieces are used up. */
export function handOver(files: readonly InPieces[]): { path: string; data: Uint8Array }[] {
  const loan = new Loan();
  return files.map(({ name, pieces }) => ({ path: name, data: new WeightsFile(pieces, loan) }));
}

/** The same for a runtime that reads weights more than once, since it works on the graph beforehand. */
export const lend = (files: readonly InPieces[]): { path: string; data: Uint8Array }[] =>
  files.map(({ name, pieces }) => ({ path: name, data: joined(pieces) }));

export function joined(pieces: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const [only] = pieces;
  if (only !== undefined && pieces.length === 1) return only;
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
