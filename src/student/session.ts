// A model's graph in the runtime: log-probabilities of tokens, the likeliest next ones, and what has been read.
import type { InferenceSession, Tensor } from "onnxruntime-web/wasm";
import type { EdgeModel } from "../wire/exports.ts";
import type { Runtime } from "./runtime.ts";
import type { InPieces } from "./weights.ts";

/** Keys and values of every layer for the tokens read so far. */
export interface KeyValues {
  length: number;
  tensors: Record<string, Tensor>;
}

/** What follows the `row`-th token that is read: how likely `target` is there. */
export interface Asked {
  row: number;
  target: number;
}

/** A token and its log-probability, nats. */
export interface Likely {
  id: number;
  logprob: number;
}

/** By what was asked: of the target, and of the likeliest token there. */
export interface Found {
  logprobs: number[];
  likeliest: Likely[];
}

const OPTIONS = {
  // The heap never shrinks: what one text needed must be there for the next use, not be kept for a text like it.
  enableCpuMemArena: false,
  enableMemPattern: false,
  // What fails is thrown; a session warns of itself whatever its environment logs.
  logSeverityLevel: 3,
} as const satisfies InferenceSession.SessionOptions;

/** Tokens that are read one by one to see whether that makes a difference. */
const ALONE = 4;

export class Session {
  readonly #ort: Runtime["ort"];
  readonly #session: InferenceSession;
  readonly #model: EdgeModel;
  readonly #pieceTokens: number;

  private constructor({ ort, pieceTokens }: Runtime, session: InferenceSession, model: EdgeModel) {
    this.#ort = ort;
    this.#session = session;
    this.#model = model;
    this.#pieceTokens = pieceTokens;
  }

  static async of(
    runtime: Runtime,
    model: EdgeModel,
    graph: Uint8Array,
    weights: readonly InPieces[],
  ): Promise<Session> {
    const options = { ...OPTIONS, ...runtime.options, externalData: runtime.give(weights) };
    return new Session(runtime, await runtime.ort.InferenceSession.create(graph, options), model);
  }

  release(): Promise<void> {
    return this.#session.release();
  }

  /** Reads tokens behind those of `past`, a piece at a time; what is asked is in the order of its rows. */
  async read(
    ids: readonly number[],
    past: KeyValues | null,
    asked: readonly Asked[],
  ): Promise<Found & { kept: KeyValues }> {
    const found: Found = { logprobs: [], likeliest: [] };
    let kept = past ?? this.#nothing();
    for (let start = 0; start < ids.length; start += this.#pieceTokens) {
      const piece = ids.slice(start, start + this.#pieceTokens);
      const here = asked
        .filter(({ row }) => row >= start && row < start + piece.length)
        .map(({ row, target }) => ({ row: row - start, target }));
      const read = await this.#readPiece(piece, kept, here);
      found.logprobs.push(...read.logprobs);
      found.likeliest.push(...read.likeliest);
      kept = read.kept;
    }
    return { ...found, kept };
  }

  /** The largest difference, nats, between log-probabilities of a few tokens that are read one by one and of the same at
   * once: none but for rounding, unless what runs the graph computes one of the two wrongly. */
  async disagreement(): Promise<number> {
    const length = Math.min(this.#pieceTokens, this.#model.context_length);
    const ids = Array.from({ length }, (_, i) => (i * 97) % this.#model.vocab_size);
    const alone = Math.min(ALONE, length - 1);
    const target = 0;
    const atOnce = await this.read(
      ids,
      null,
      ids.map((_, row) => ({ row, target })),
    );
    let past = (await this.read(ids.slice(0, -alone), null, [])).kept;
    let most = 0;
    for (let place = length - alone; place < length; place++) {
      const read = await this.read(ids.slice(place, place + 1), past, [{ row: 0, target }]);
      past = read.kept;
      most = Math.max(most, Math.abs((read.logprobs[0] ?? NaN) - (atOnce.logprobs[place] ?? NaN)));
    }
    return most;
  }

  async #readPiece(
    ids: readonly number[],
    past: KeyValues,
    asked: readonly Asked[],
  ): Promise<Found & { kept: KeyValues }> {
    const length = past.length + ids.length;
    // The graph wants one row at the least.
    const rows = asked.length === 0 ? [{ row: 0, target: 0 }] : asked;
    const outputs = await this.#session.run({
      input_ids: this.#int64(ids, [1, ids.length]),
      position_ids: this.#int64(
        ids.map((_, i) => past.length + i),
        [1, ids.length],
      ),
      seqlens_k: this.#int32(length - 1),
      total_length: this.#int32(length),
      rows: this.#int64(rows.map(({ row }) => row)),
      targets: this.#int64(rows.map(({ target }) => target)),
      ...past.tensors,
    });
    const tensors: Record<string, Tensor> = {};
    for (const { past: name, present } of this.#layers()) tensors[name] = output(outputs, present);
    return {
      logprobs: asked.length === 0 ? [] : [...floats(output(outputs, "logprobs"))],
      likeliest: asked.map((_, row) => likeliest(outputs, row, this.#model.likeliest)),
      kept: { length, tensors },
    };
  }

  #nothing(): KeyValues {
    const { key_value_heads, head_dim } = this.#model;
    const tensors: Record<string, Tensor> = {};
    for (const { past } of this.#layers()) {
      tensors[past] = new this.#ort.Tensor("float32", new Float32Array(0), [1, key_value_heads, 0, head_dim]);
    }
    return { length: 0, tensors };
  }

  #layers(): { past: string; present: string }[] {
    return Array.from({ length: this.#model.layers }, (_, i) => ["key", "value"].map((what) => `${i}.${what}`))
      .flat()
      .map((name) => ({ past: `past.${name}`, present: `present.${name}` }));
  }

  #int64(values: readonly number[], dims: readonly number[] = [values.length]): Tensor {
    return new this.#ort.Tensor("int64", BigInt64Array.from(values, BigInt), dims);
  }

  #int32(value: number): Tensor {
    return new this.#ort.Tensor("int32", Int32Array.of(value), [1]);
  }
}

function output(outputs: InferenceSession.OnnxValueMapType, name: string): Tensor {
  const tensor = outputs[name];
  if (tensor === undefined) throw new Error(`the graph has no output ${name}`);
  return tensor;
}

function floats({ data }: Tensor): Float32Array {
  if (!(data instanceof Float32Array)) throw new Error("the graph's log-probabilities are not float32");
  return data;
}

/** The likeliest token of a row, of which the graph gives `columns`. */
function likeliest(outputs: InferenceSession.OnnxValueMapType, row: number, columns: number): Likely {
  const { data } = output(outputs, "top_ids");
  const id = data instanceof BigInt64Array ? data[row * columns] : undefined;
  const logprob = floats(output(outputs, "top_logprobs"))[row * columns];
  if (id === undefined || logprob === undefined)
    throw new Error("the graph's likeliest tokens are not int64, or too few");
  return { id: Number(id), logprob };
}
