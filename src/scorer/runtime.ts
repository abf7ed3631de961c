// onnxruntime-web in a Worker: one thread, on the module that was compiled when the Worker was deployed.
import type { Runtime } from "./session.ts";

const PAGE = 65_536;

let loading: Promise<Runtime> | null = null;
let heap: WebAssembly.Memory | null = null;
let reserved = 0;

/** Loaded by the first request that needs it: the start of an isolate does not pay for it. */
export const runtime = (): Promise<Runtime> => (loading ??= load());

/** Gives the runtime's heap its size before it is needed: grown bit by bit, it would take a fifth more each time. */
export function reserve(bytes: number): void {
  reserved = Math.max(reserved, bytes);
  if (heap === null) return;
  const missing = Math.ceil((reserved - heap.buffer.byteLength) / PAGE);
  if (missing > 0) heap.grow(missing);
}

async function load(): Promise<Runtime> {
  const [ort, { default: module }] = await Promise.all([
    import("onnxruntime-web/wasm"),
    import("onnxruntime-web/ort-wasm-simd-threaded.wasm"),
  ]);
  ort.env.wasm.numThreads = 1;
  // It wants bytes to compile, which a Worker may not: it is given none, and the compiled module where it uses them.
  ort.env.wasm.wasmBinary = new ArrayBuffer(0);
  // What fails is thrown, and logged once, by whoever asked.
  ort.env.logLevel = "fatal";
  const { instantiate } = WebAssembly;
  const compiled = async (_bytes: unknown, imports: WebAssembly.Imports) => {
    heap = memoryAmong(imports);
    reserve(0);
    return { module, instance: await instantiate(module, imports) };
  };
  if (!Reflect.set(WebAssembly, "instantiate", compiled)) throw new Error("WebAssembly.instantiate cannot be routed");
  return ort;
}

function memoryAmong(imports: WebAssembly.Imports): WebAssembly.Memory | null {
  const values = Object.values(imports).flatMap((names) => Object.values(names));
  return values.find((value) => value instanceof WebAssembly.Memory) ?? null;
}
