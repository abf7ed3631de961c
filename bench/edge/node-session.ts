// The same graph in onnxruntime-web under Node, as its documentation says to use it: one thread, its own optimisations.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import * as ort from "onnxruntime-web/wasm";
import type { EdgeModel } from "../../src/wire/exports.ts";
import type { Exported } from "./exports.ts";

const int64 = (values: readonly number[], dims: readonly number[] = [values.length]) =>
  new ort.Tensor("int64", BigInt64Array.from(values, BigInt), dims);
const int32 = (value: number) => new ort.Tensor("int32", Int32Array.of(value), [1]);

/** Nothing was read before. */
function nothing(model: EdgeModel): Record<string, ort.Tensor> {
  const past: Record<string, ort.Tensor> = {};
  for (let layer = 0; layer < model.layers; layer++) {
    for (const what of ["key", "value"]) {
      const dims = [1, model.key_value_heads, 0, model.head_dim];
      past[`past.${layer}.${what}`] = new ort.Tensor("float32", new Float32Array(0), dims);
    }
  }
  return past;
}

export class NodeSession {
  readonly #session: ort.InferenceSession;
  readonly #model: EdgeModel;

  private constructor(session: ort.InferenceSession, model: EdgeModel) {
    this.#session = session;
    this.#model = model;
  }

  static async of({ folder, model }: Exported): Promise<NodeSession> {
    ort.env.wasm.numThreads = 1;
    const weights = readdirSync(folder).filter((name) => name.startsWith("weights-"));
    const externalData = weights.map((name) => ({
      path: name,
      data: new Uint8Array(readFileSync(join(folder, name))),
    }));
    const graph = new Uint8Array(readFileSync(join(folder, "student.onnx")));
    const options = { executionProviders: ["wasm"], externalData };
    return new NodeSession(await ort.InferenceSession.create(graph, options), model);
  }

  release(): Promise<void> {
    return this.#session.release();
  }

  /** Milliseconds of one score: the whole sequence at once, with the log-probability of each response token. */
  async timeOf(prompt: readonly number[], response: readonly number[]): Promise<number> {
    const ids = [...prompt, ...response].slice(0, -1);
    const began = performance.now();
    await this.#session.run(
      {
        input_ids: int64(ids, [1, ids.length]),
        position_ids: int64([...ids.keys()], [1, ids.length]),
        seqlens_k: int32(ids.length - 1),
        total_length: int32(ids.length),
        rows: int64(response.map((_, i) => prompt.length - 1 + i)),
        targets: int64(response),
        ...nothing(this.#model),
      },
      ["logprobs"],
    );
    return performance.now() - began;
  }
}
