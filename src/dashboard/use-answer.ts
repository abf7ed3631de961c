// One answer of the API inside a component: asked for when its address changes, and again on demand.
import { useCallback, useEffect, useState } from "preact/hooks";
import { failureOf, read } from "./api.ts";
import type { Failure } from "./api.ts";
import type { Is } from "./guards.ts";

/** An evaluation under way is asked for this long after the last answer, ms: a batch takes some seconds. */
const REFRESH_MS = 3000;

export interface Answer<T> {
  /** The last answer; while another is on its way, still the one before. */
  value: T | null;
  failure: Failure | null;
  loading: boolean;
  again: () => void;
}

interface State<T> extends Omit<Answer<T>, "again"> {
  url: string | null;
}

export function useAnswer<T>(url: string, is: Is<T>): Answer<T> {
  const [state, setState] = useState<State<T>>({ url: null, value: null, failure: null, loading: true });
  const [attempt, setAttempt] = useState(0);
  const again = useCallback(() => setAttempt((n) => n + 1), []);
  useEffect(() => {
    const stop = new AbortController();
    setState((before) => ({ ...before, failure: null, loading: true }));
    read(url, is, stop.signal).then(
      (value) => setState({ url, value, failure: null, loading: false }),
      (error: unknown) => {
        if (stop.signal.aborted) return;
        const failure = failureOf(error);
        // What is shown beside a failure must be of the same address.
        setState((before) => ({ url, value: before.url === url ? before.value : null, failure, loading: false }));
      },
    );
    return () => stop.abort();
  }, [url, is, attempt]);
  return { ...state, again };
}

/** Calls `again` some time after each new `value` while `active` and the tab is seen; at once when it is seen again. */
export function useRefresh(active: boolean, { value, again }: Answer<unknown>): void {
  useEffect(() => {
    if (!active) return;
    let timer: number | undefined;
    const wait = () => {
      clearTimeout(timer);
      if (document.visibilityState === "visible") timer = setTimeout(again, REFRESH_MS);
    };
    const follow = () => (document.visibilityState === "visible" ? again() : clearTimeout(timer));
    wait();
    document.addEventListener("visibilitychange", follow);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", follow);
    };
  }, [active, value, again]);
}
