// A list of records under one filter, with its count and its next page.
import type { ComponentChild } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { count } from "../format.ts";
import { Failed, Loading } from "../states.tsx";
import { useRecords } from "./use-records.ts";
import type { Records, Source } from "./use-records.ts";

interface ListProps<T> {
  title: string;
  source: Source<T>;
  /** One record, drawn. */
  draw: (record: T) => ComponentChild;
}

const said = (records: number, hasMore: boolean): string =>
  records === 0 ? "None" : hasMore ? `the first ${records}` : count(records, "record");

/** The first record of a page that the reader asked for gets the focus, which its button may just have lost. */
function useFocusOnMore<T>({ records, more }: Records<T>) {
  const list = useRef<HTMLDivElement>(null);
  const next = useRef<number | null>(null);
  useEffect(() => {
    const arrived = next.current === null ? null : (list.current?.children.item(next.current) ?? null);
    if (!(arrived instanceof HTMLElement)) return;
    next.current = null;
    arrived.focus();
  }, [records]);
  const moreAndFocus = () => {
    next.current = records?.length ?? null;
    more();
  };
  return { list, moreAndFocus };
}

export function RecordList<T extends { id: string }>({ title, source, draw }: ListProps<T>) {
  const loaded = useRecords(source);
  const { records, hasMore, loading, failure, again } = loaded;
  const { list, moreAndFocus } = useFocusOnMore(loaded);
  return (
    <section class="records" aria-label={title}>
      <h2>
        {title}{" "}
        <span class="quiet" role="status">
          {records !== null && said(records.length, hasMore)}
        </span>
      </h2>
      {failure !== null && <Failed failure={failure} again={again} />}
      {records === null && loading && <Loading what="records" />}
      <div ref={list} aria-busy={loading}>
        {records?.map(draw)}
      </div>
      {hasMore && (
        <button type="button" class="more" disabled={loading} onClick={moreAndFocus}>
          More of these
        </button>
      )}
    </section>
  );
}
