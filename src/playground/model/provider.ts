// On what a student can run in this browser.
import { useEffect, useState } from "preact/hooks";
import type { Precision } from "../answers.ts";
import type { Provider } from "../runner/messages.ts";

/** What there is of WebGPU: the best there is, unless it is software or `missing` says why there is none. */
export interface Gpu {
  missing: string | null;
  software: boolean;
}

const without = (missing: string): Gpu => ({ missing, software: false });

async function findGpu(precision: Precision): Promise<Gpu> {
  if (!("gpu" in navigator)) return without("this browser has no WebGPU");
  // The runtime's build for it calls asynchronous functions from within wasm.
  if (!("Suspending" in WebAssembly)) return without("this browser's WebAssembly cannot wait for a GPU (JSPI)");
  const adapter = await navigator.gpu.requestAdapter();
  if (adapter === null) return without("this browser offers no WebGPU adapter");
  if (precision !== "fp32" && !adapter.features.has("shader-f16")) {
    return without(`this browser's WebGPU adapter has no fp16, which an export in ${precision} takes`);
  }
  return { missing: null, software: adapter.info.isFallbackAdapter };
}

/** Null until it is known. */
export function useGpu(precision: Precision): Gpu | null {
  const [gpu, setGpu] = useState<Gpu | null>(null);
  useEffect(() => {
    let asked = true;
    void findGpu(precision).then((found) => {
      if (asked) setGpu(found);
    });
    return () => {
      asked = false;
    };
  }, [precision]);
  return gpu;
}

export const providerName = (provider: Provider, threads: number | null): string =>
  provider === "webgpu" ? "WebGPU" : `wasm with ${threads ?? 1} ${threads === 1 ? "thread" : "threads"}`;
