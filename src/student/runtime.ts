// onnxruntime-web as whoever runs a student hands it in: one build of it, and how its sessions run a graph.
import type * as Ort from "onnxruntime-web/wasm";
import { EDGE_PIECE_TOKENS, WEBGPU_PIECE_TOKENS } from "../config.ts";

type Options = "executionProviders" | "graphOptimizationLevel" | "extra";

export interface Runtime {
  ort: typeof Ort;
  options: Pick<Ort.InferenceSession.SessionOptions, Options>;
  /** Whether weights are read more than once while a session is created. */
  readsAgain: boolean;
  /** Tokens that are read at once at the most. */
  pieceTokens: number;
}

export const onWasm = (ort: typeof Ort): Runtime => ({
  ort,
  // The exporter has written the graph as it is to run; optimising it here would cost time and a copy of the weights.
  options: { executionProviders: ["wasm"], graphOptimizationLevel: "disabled" },
  readsAgain: false,
  pieceTokens: EDGE_PIECE_TOKENS,
});

export const onWebGpu = (ort: typeof Ort): Runtime => ({
  ort,
  // Weights are unpacked once, on their way into the GPU's memory, and not for each token (measured: half the time).
  options: {
    executionProviders: ["webgpu"],
    graphOptimizationLevel: "basic",
    extra: { session: { disable_quant_qdq: "1" } },
  },
  readsAgain: true,
  pieceTokens: WEBGPU_PIECE_TOKENS,
});
