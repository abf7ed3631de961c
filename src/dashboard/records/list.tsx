// A list of records under one filter, with its count and its next page.
import { useEffect, useRef } from "preact/hooks";
import type { Query } from "../api.ts";
import { count } from "../format.ts";
import { Failed, Loading } from "../states.tsx";
import { Record } from "./record.tsx";
import { useRecords } from "./use-records.ts";
import type { Records } from "./use-records.ts";

export interface ListProps {
  title: string;
  evaluation: string;
  query: Query;
  version: number;
  otherName: string;
}

const said = (records: number, hasMore: boolean): string =>
  records === 0 ? "None" : hasMore ? `the first ${records}` : count(records, "record");

/** The first record of a page that the reader asked for gets the focus, which its button may just have lost. */
function useFocusOnMore({ records, more }: Records) {
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

export function RecordList({ title, evaluation, query, version, otherName }: ListProps) {
  const loaded = useRecords(`/v1/evaluations/${encodeURIComponent(evaluation)}/records`, query, version);
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
        {records?.map((record) => (
          <Record key={record.id} record={record} metric={String(query.metric)} otherName={otherName} />
        ))}
      </div>
      {hasMore && (
        <button type="button" class="more" disabled={loading} onClick={moreAndFocus}>
          More of these
        </button>
      )}
    </section>
  );
}
