// A model's graph in the runtime: log-probabilities of tokens, the likeliest next ones, and what has been read.
import type * as Ort from "onnxruntime-web/wasm";
import type { InferenceSession, Tensor } from "onnxruntime-web/wasm";
import { EDGE_PIECE_TOKENS } from "../config.ts";
import type { EdgeModel } from "../wire/exports.ts";

export type Runtime = typeof Ort;

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

/** By what was asked. */
export interface Found {
  logprobs: number[];
  likeliest: number[];
}

const OPTIONS = {
  executionProviders: ["wasm"],
  // The exporter has written the graph as it is to run; optimising it here would cost time and a copy of the weights.
  graphOptimizationLevel: "disabled",
  // The heap never shrinks: what one text needed must be there for the next use, not be kept for a text like it.
  enableCpuMemArena: false,
  enableMemPattern: false,
} as const satisfies InferenceSession.SessionOptions;

export class Session {
  readonly #ort: Runtime;
  readonly #session: InferenceSession;
  readonly #model: EdgeModel;

  private constructor(ort: Runtime, session: InferenceSession, model: EdgeModel) {
    this.#ort = ort;
    this.#session = session;
    this.#model = model;
  }

  static async of(
    ort: Runtime,
    model: EdgeModel,
    graph: Uint8Array,
    externalData: { path: string; data: Uint8Array }[],
  ): Promise<Session> {
    return new Session(ort, await ort.InferenceSession.create(graph, { ...OPTIONS, externalData }), model);
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
    for (let start = 0; start < ids.length; start += EDGE_PIECE_TOKENS) {
      const piece = ids.slice(start, start + EDGE_PIECE_TOKENS);
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
      likeliest: asked.map((_, i) => first(output(outputs, "top_ids"), i, this.#model.likeliest)),
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

/** The likeliest token of a row of `top_ids`. */
function first({ data }: Tensor, row: number, columns: number): number {
  const id = data instanceof BigInt64Array ? data[row * columns] : undefined;
  if (id === undefined) throw new Error("the graph's likeliest tokens are not int64, or too few");
  return Number(id);
}
