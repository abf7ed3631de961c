// onnxruntime-web in a browser's worker, from our own assets alone. On a GPU it is a build of its own, with JSPI: the one
// without is larger than what a static asset may be.
import { onWasm, onWebGpu } from "../../student/runtime.ts";
import type { Runtime } from "../../student/runtime.ts";
import type { Provider } from "./messages.ts";

/** More would wait for each other on matrices of this size. */
const MOST_THREADS = 4;

/** Several need shared memory, which a page has once it is isolated from others. */
const threadsOf = (provider: Provider): number =>
  provider === "wasm" && crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;

const asset = (name: string): string => new URL(`/assets/playground/${name}`, location.href).href;

export interface BrowserRuntime extends Runtime {
  threads: number;
}

export async function browserRuntime(provider: Provider): Promise<BrowserRuntime> {
  const gpu = provider === "webgpu";
  const ort = await (gpu ? import("onnxruntime-web/jspi") : import("onnxruntime-web/wasm"));
  const build = gpu ? "ort-wasm-simd-threaded.jspi" : "ort-wasm-simd-threaded";
  const threads = threadsOf(provider);
  ort.env.wasm.wasmPaths = { mjs: asset(`${build}.mjs`), wasm: asset(`${build}.wasm`) };
  ort.env.wasm.numThreads = threads;
  // What fails is thrown, and shown by the page.
  ort.env.logLevel = "fatal";
  return { ...(gpu ? onWebGpu(ort) : onWasm(ort)), threads };
}
