// onnxruntime-web in a Worker: one thread, on the module that was compiled when the Worker was deployed.
import type * as Ort from "onnxruntime-web/wasm";

export type Runtime = typeof Ort;

let loading: Promise<Runtime> | null = null;

/** Loaded by the first request that needs it: the start of an isolate does not pay for it. */
export const runtime = (): Promise<Runtime> => (loading ??= load());

async function load(): Promise<Runtime> {
  const [ort, { default: module }] = await Promise.all([
    import("onnxruntime-web/wasm"),
    import("onnxruntime-web/ort-wasm-simd-threaded.wasm"),
  ]);
  ort.env.wasm.numThreads = 1;
  // It wants bytes to compile, which a Worker may not: it is given none, and the compiled module where it uses them.
  ort.env.wasm.wasmBinary = new ArrayBuffer(0);
  ort.env.logLevel = "error";
  const { instantiate } = WebAssembly;
  const compiled = async (_bytes: unknown, imports: WebAssembly.Imports) => ({
    module,
    instance: await instantiate(module, imports),
  });
  if (!Reflect.set(WebAssembly, "instantiate", compiled)) throw new Error("WebAssembly.instantiate cannot be routed");
  return ort;
}
