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

async function start(
  chosen: Export,
  provider: Provider,
  { tell, signal }: { tell: (stage: Stage) => void; signal: AbortSignal },
): Promise<void> {
  const began = performance.now();
  let progress: Progress = { done: 0, total: chosen.bytes, loaded: 0 };
  tell({ name: "loading", progress });
  const follow = (now: Progress): void => tell({ name: "loading", progress: (progress = now) });
  const files = await readFiles(chosen, follow, signal);
  tell({ name: "starting", progress });
  const runner = new Runner();
  signal.addEventListener("abort", () => runner.end());
  const { threads } = await runner.load({ model: chosen.model, files, provider });
  tell({ name: "ready", runner, provider, threads, progress, seconds: (performance.now() - began) / 1000 });
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
      start(chosen, provider, { tell, signal }).catch((error: unknown) => {
        if (!signal.aborted) setStage({ name: "failed", failure: failureOf(error) });
      });
    },
    [chosen],
  );
  return { stage, load };
}
