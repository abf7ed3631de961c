// A student on its way into this browser, and while it is there.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { failureOf } from "../../dashboard/api.ts";
import type { Failure } from "../../dashboard/api.ts";
import type { Export } from "../answers.ts";
import { Runner } from "../runner/client.ts";
import type { Provider } from "../runner/messages.ts";
import { readFiles } from "./files.ts";
import type { Progress } from "./files.ts";

export interface Ready {
  name: "ready";
  runner: Runner;
  provider: Provider;
  threads: number | null;
  /** Why it does not run on WebGPU, if that was asked for. */
  fallback: string | null;
  progress: Progress;
  /** Until it could be asked, from the press of the button. */
  seconds: number;
}

export type Stage =
  | { name: "none" }
  | { name: "loading"; progress: Progress }
  | { name: "starting"; progress: Progress }
  | Ready
  | { name: "failed"; failure: Failure };

export interface Student {
  stage: Stage;
  load: (provider: Provider) => void;
}

interface Shown {
  tell: (stage: Stage) => void;
  signal: AbortSignal;
}

async function start(
  chosen: Export,
  { provider, fallback }: Pick<Ready, "provider" | "fallback">,
  { tell, signal }: Shown,
): Promise<void> {
  const began = performance.now();
  let progress: Progress = { done: 0, total: chosen.bytes, loaded: 0 };
  tell({ name: "loading", progress });
  const follow = (now: Progress): void => tell({ name: "loading", progress: (progress = now) });
  const files = await readFiles(chosen, follow, signal);
  tell({ name: "starting", progress });
  const runner = new Runner();
  signal.addEventListener("abort", () => runner.end());
  const loading = runner.load({ model: chosen.model, files, provider });
  const { threads } = await loading.catch((error: unknown) => {
    runner.end();
    throw provider === "webgpu" ? new NoGpu(failureOf(error).message) : error;
  });
  tell({ name: "ready", runner, provider, threads, fallback, progress, seconds: (performance.now() - began) / 1000 });
}

/** An adapter is there, and does not do for this model. */
class NoGpu extends Error {}

async function startAnywhere(chosen: Export, provider: Provider, shown: Shown): Promise<void> {
  try {
    await start(chosen, { provider, fallback: null }, shown);
  } catch (error) {
    if (!(error instanceof NoGpu)) throw error;
    await start(chosen, { provider: "wasm", fallback: error.message }, shown);
  }
}

/** Of one export: whoever shows another one draws anew, and this one is let go. */
export function useStudent(chosen: Export): Student {
  const [stage, setStage] = useState<Stage>({ name: "none" });
  const stop = useRef<AbortController | null>(null);
  useEffect(() => () => stop.current?.abort(), []);
  const load = useCallback(
    (provider: Provider) => {
      stop.current?.abort();
      const { signal } = (stop.current = new AbortController());
      const tell = (next: Stage): void => {
        if (!signal.aborted) setStage(next);
      };
      startAnywhere(chosen, provider, { tell, signal }).catch((error: unknown) => {
        if (!signal.aborted) setStage({ name: "failed", failure: failureOf(error) });
      });
    },
    [chosen],
  );
  return { stage, load };
}
