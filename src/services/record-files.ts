// Records as a file: written page by page as the reader takes it.
import { EXPORT_PAGE } from "../config.ts";
import { csvLine } from "./csv.ts";
import type { Cell } from "./csv.ts";

/** Records that can be saved: how they are read, and what each is as a line of a table. */
export interface Exportable<R> {
  columns: readonly string[];
  cells: (record: R) => Cell[];
  /** The records after the place `last`, with the place of the last of them. */
  read: (window: { last: number; limit: number }) => Promise<{ records: R[]; last: number; more: boolean }>;
}

export const FORMATS = {
  jsonl: { mediaType: "application/x-ndjson" },
  csv: { mediaType: "text/csv; charset=utf-8; header=present" },
} as const;

export type ExportFormat = keyof typeof FORMATS;

/** A text as it is, anything else as JSON. */
export const cellOf = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

async function* pieces<R>({ columns, cells, read }: Exportable<R>, format: ExportFormat): AsyncGenerator<string> {
  const line = (record: R): string => (format === "csv" ? csvLine(cells(record)) : `${JSON.stringify(record)}\n`);
  let before = format === "csv" ? csvLine(columns) : "";
  for (let last = -1; ;) {
    const page = await read({ last, limit: EXPORT_PAGE });
    yield before + page.records.map(line).join("");
    before = "";
    last = page.last;
    if (!page.more) return;
  }
}

/** An error on the way breaks the stream off, and the reader sees it end too early. */
export function exported<R>(source: Exportable<R>, format: ExportFormat): ReadableStream<Uint8Array> {
  const parts = pieces(source, format);
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const part = await parts.next();
        if (part.done === true) controller.close();
        else controller.enqueue(encoder.encode(part.value));
      },
      async cancel() {
        await parts.return(undefined);
      },
    },
    // One page ahead would be one page more in memory.
    { highWaterMark: 0 },
  );
}
