// The records of one evaluation under a filter, page after page.
import { useEffect, useRef, useState } from "preact/hooks";
import { isRecords } from "../answers.ts";
import type { Graded } from "../answers.ts";
import { address, failureOf, read } from "../api.ts";
import type { Failure, Query } from "../api.ts";

const PAGE = 20;
/** The most that one answer holds. */
const MOST = 100;

interface State {
  records: Graded[] | null;
  hasMore: boolean;
  loading: boolean;
  failure: Failure | null;
}

export interface Records extends State {
  more: () => void;
  again: () => void;
}

const START: State = { records: null, hasMore: false, loading: true, failure: null };

/** @param version changes when the evaluation has more responses: what is shown is asked for again, as far as it goes */
export function useRecords(path: string, filter: Query, version: number): Records {
  const [state, setState] = useState(START);
  const request = useRef<AbortController | null>(null);
  const shown = useRef({ url: "", records: 0 });
  const load = (query: Query, before: readonly Graded[]) => {
    request.current?.abort();
    const own = (request.current = new AbortController());
    setState((last) => ({ ...last, loading: true, failure: null }));
    read(address(path, { ...filter, ...query }), isRecords, own.signal).then(
      ({ data, has_more }) => {
        const records = [...before, ...data];
        shown.current.records = records.length;
        setState({ records, hasMore: has_more, loading: false, failure: null });
      },
      (error: unknown) => {
        if (own.signal.aborted) return;
        const failure = failureOf(error);
        // What stays beside a failure must be of the same filter.
        setState(({ hasMore }) => ({
          records: before.length > 0 ? [...before] : null,
          hasMore,
          loading: false,
          failure,
        }));
      },
    );
  };
  const url = address(path, filter);
  const start = () => {
    if (shown.current.url !== url) shown.current = { url, records: 0 };
    // Further down than one answer reaches, a reader is not disturbed.
    if (shown.current.records <= MOST) load({ limit: Math.max(PAGE, shown.current.records) }, []);
  };
  useEffect(start, [url, version]);
  useEffect(() => () => request.current?.abort(), []);
  const { records } = state;
  const more = () => load({ limit: PAGE, after: records?.at(-1)?.id ?? null }, records ?? []);
  return { ...state, more, again: start };
}
