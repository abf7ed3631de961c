// The exports of a run's checkpoints, newest first.
import { useEffect, useState } from "preact/hooks";
import { failureOf, read } from "../../dashboard/api.ts";
import type { Failure } from "../../dashboard/api.ts";
import { isCheckpoints, isExports } from "../answers.ts";
import type { Export } from "../answers.ts";

/** Checkpoints that are looked at, each with a request; one that the address names is looked at in any case. */
const NEWEST = 20;

/** The step of a checkpoint, with its lineage where it has another than the first. */
export const stepOf = (checkpoint: string): string => checkpoint.split("@")[1] ?? "";

export interface Exported {
  exports: Export[];
  /** The step of the newest checkpoint, exported or not; null where there is none. */
  newest: string | null;
}

async function exportsOf(run: string, step: string | null, signal: AbortSignal): Promise<Exported> {
  const path = `/v1/runs/${encodeURIComponent(run)}/checkpoints`;
  const checkpoints = await read(`${path}?limit=${NEWEST}`, isCheckpoints, signal);
  const newest = checkpoints.data.map(({ id }) => stepOf(id));
  const steps = step === null || newest.includes(step) ? newest : [step, ...newest];
  const lists = await Promise.all(
    steps.map((one) => read(`${path}/${encodeURIComponent(one)}/exports`, isExports, signal)),
  );
  return { exports: lists.flatMap(({ data }) => data), newest: newest[0] ?? null };
}

interface Exports {
  value: Exported | null;
  failure: Failure | null;
  again: () => void;
}

export function useExports(run: string, step: string | null): Exports {
  const [state, setState] = useState<Omit<Exports, "again">>({ value: null, failure: null });
  const [attempt, setAttempt] = useState(0);
  // A step that is chosen later is among those of the first look.
  const [asked] = useState(step);
  useEffect(() => {
    const stop = new AbortController();
    setState({ value: null, failure: null });
    exportsOf(run, asked, stop.signal).then(
      (value) => setState({ value, failure: null }),
      (error: unknown) => {
        if (!stop.signal.aborted) setState({ value: null, failure: failureOf(error) });
      },
    );
    return () => stop.abort();
  }, [run, asked, attempt]);
  return { ...state, again: () => setAttempt((n) => n + 1) };
}
