// onnxruntime-web as whoever runs a student hands it in: one build of it, and how its sessions run a graph.
import type * as Ort from "onnxruntime-web/wasm";
import { EDGE_PIECE_TOKENS, WEBGPU_PIECE_TOKENS } from "../config.ts";
import { handOver, lend } from "./weights.ts";

type Options = "executionProviders" | "graphOptimizationLevel" | "extra";

export interface Runtime {
  ort: typeof Ort;
  options: Pick<Ort.InferenceSession.SessionOptions, Options>;
  /** How it is given weights: to be read once, or to keep, if it reads them again while a session is created. */
  give: typeof handOver;
  /** Tokens that are read at once at the most. */
  pieceTokens: number;
}

export const onWasm = (ort: typeof Ort): Runtime => ({
  ort,
  // The exporter has written the graph as it is to run; optimising it here would cost time and a copy of the weights.
  options: { executionProviders: ["wasm"], graphOptimizationLevel: "disabled" },
  give: handOver,
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
  give: lend,
  pieceTokens: WEBGPU_PIECE_TOKENS,
});
