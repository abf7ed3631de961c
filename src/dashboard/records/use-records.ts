// The records of one evaluation under a filter, page after page.
import { useEffect, useRef, useState } from "preact/hooks";
import type { List } from "../answers/common.ts";
import { address, failureOf, read } from "../api.ts";
import type { Failure, Query } from "../api.ts";
import type { Is } from "../guards.ts";

const PAGE = 20;
/** The most that one answer holds. */
const MOST = 100;

interface State<T> {
  records: T[] | null;
  hasMore: boolean;
  loading: boolean;
  failure: Failure | null;
}

export interface Records<T> extends State<T> {
  more: () => void;
  again: () => void;
}

export interface Source<T> {
  path: string;
  /** Which of the records there. */
  query: Query;
  is: Is<List<T>>;
  /** Changes when the evaluation has more responses: what is shown is asked for again, as far as it goes. */
  version: number;
}

export function useRecords<T extends { id: string }>({ path, query: filter, is, version }: Source<T>): Records<T> {
  const [state, setState] = useState<State<T>>({ records: null, hasMore: false, loading: true, failure: null });
  const request = useRef<AbortController | null>(null);
  const shown = useRef({ url: "", records: 0 });
  const load = (query: Query, before: readonly T[]) => {
    request.current?.abort();
    const own = (request.current = new AbortController());
    setState((last) => ({ ...last, loading: true, failure: null }));
    read(address(path, { ...filter, ...query }), is, own.signal).then(
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
