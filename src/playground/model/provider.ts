// On what a student can run in this browser.
import { useEffect, useState } from "preact/hooks";
import type { Provider } from "../runner/messages.ts";

export interface Providers {
  /** Why there is no WebGPU; null where there is. */
  missing: string | null;
}

async function findProviders(): Promise<Providers> {
  const without = (missing: string): Providers => ({ missing });
  if (!("gpu" in navigator)) return without("this browser has no WebGPU");
  // The runtime's build for it calls asynchronous functions from within wasm.
  if (!("Suspending" in WebAssembly)) return without("this browser's WebAssembly cannot wait for a GPU (JSPI)");
  const adapter = await navigator.gpu.requestAdapter();
  return adapter === null ? without("this browser offers no WebGPU adapter") : { missing: null };
}

/** Null until it is known. */
export function useProviders(): Providers | null {
  const [providers, setProviders] = useState<Providers | null>(null);
  useEffect(() => void findProviders().then(setProviders), []);
  return providers;
}

export const providerName = (provider: Provider, threads: number | null): string =>
  provider === "webgpu" ? "WebGPU" : `wasm with ${threads ?? 1} ${threads === 1 ? "thread" : "threads"}`;
