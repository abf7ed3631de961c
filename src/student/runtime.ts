// onnxruntime-web as whoever runs a student hands it in: one build of it, and what its sessions run on.
import type * as Ort from "onnxruntime-web/wasm";

export interface Runtime {
  ort: typeof Ort;
  provider: "wasm" | "webgpu";
}
