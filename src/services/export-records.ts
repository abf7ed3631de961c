// All records that a filter leaves, as a file: written page by page as the reader takes it.
import { EXPORT_PAGE } from "../config.ts";
import type { Database } from "../store/database.ts";
import type { RecordFilter as StoreFilter } from "../store/record-filters.ts";
import { readRecords } from "../store/record-pages.ts";
import { MetricName } from "../wire/evaluations.ts";
import type { EvaluationRecord, MetricValues, RecordFilter } from "../wire/evaluations.ts";
import type { Context } from "./context.ts";
import { csvLine } from "./csv.ts";
import type { Cell } from "./csv.ts";
import { present, recordFilter } from "./records.ts";

interface Format {
  mediaType: string;
  /** What comes before the first record. */
  head: (filter: StoreFilter) => string;
  line: (record: EvaluationRecord, filter: StoreFilter) => string;
}

const COLUMNS = ["id", "item", "seed", "prompt", "references", "response", "finish_reason", "num_tokens"] as const;

const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
const values = (metrics: MetricValues | undefined): Cell[] =>
  MetricName.options.map((metric) => metrics?.[metric] ?? null);

function csvCells({ other, metrics, ...record }: EvaluationRecord, filter: StoreFilter): Cell[] {
  const { prompt, references, finish_reason, num_tokens } = record;
  const own = [record.id, record.item, record.seed, text(prompt), text(references), record.response];
  const theirs = filter.changedFrom === undefined ? [] : [other?.response ?? null, ...values(other?.metrics)];
  return [...own, finish_reason, num_tokens, ...values(metrics), ...theirs];
}

const csvHead = (filter: StoreFilter): Cell[] => {
  const theirs = ["response", ...MetricName.options].map((name) => `other_${name}`);
  return [...COLUMNS, ...MetricName.options, ...(filter.changedFrom === undefined ? [] : theirs)];
};

export const FORMATS = {
  jsonl: {
    mediaType: "application/x-ndjson",
    head: () => "",
    line: (record) => `${JSON.stringify(record)}\n`,
  },
  csv: {
    mediaType: "text/csv; charset=utf-8; header=present",
    head: (filter) => csvLine(csvHead(filter)),
    line: (record, filter) => csvLine(csvCells(record, filter)),
  },
} as const satisfies Record<string, Format>;

export type ExportFormat = keyof typeof FORMATS;

async function* pieces(db: Database, id: string, filter: StoreFilter, format: Format): AsyncGenerator<string> {
  let before = format.head(filter);
  for (let last = -1; ;) {
    const { rows, more } = await readRecords(db, id, filter, { last, limit: EXPORT_PAGE });
    yield before + rows.map((found) => format.line(present(found), filter)).join("");
    before = "";
    last = rows.at(-1)?.row.position ?? last;
    if (!more) return;
  }
}

/** Errors of the request are thrown; one that comes later breaks the stream off, and the reader sees it end too early. */
export async function exportRecords(
  ctx: Context,
  id: string,
  asked: RecordFilter,
  format: ExportFormat,
): Promise<ReadableStream<Uint8Array>> {
  const parts = pieces(ctx.db, id, await recordFilter(ctx, id, asked), FORMATS[format]);
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
