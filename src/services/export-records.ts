// All records of an evaluation that a filter leaves, as a file.
import { readRecords } from "../store/record-pages.ts";
import { MetricName } from "../wire/evaluations.ts";
import type { EvaluationRecord, MetricValues, RecordFilter } from "../wire/evaluations.ts";
import type { Context } from "./context.ts";
import type { Cell } from "./csv.ts";
import { cellOf, exported } from "./record-files.ts";
import type { ExportFormat } from "./record-files.ts";
import { present, recordFilter } from "./records.ts";

const COLUMNS = ["id", "item", "seed", "prompt", "references", "response", "finish_reason", "num_tokens"];
const OTHERS = ["response", ...MetricName.options].map((name) => `other_${name}`);

const values = (metrics: MetricValues | undefined): Cell[] =>
  MetricName.options.map((metric) => metrics?.[metric] ?? null);

function cellsOf({ metrics, ...record }: EvaluationRecord): Cell[] {
  const { id, item, seed, prompt, references, response, finish_reason, num_tokens } = record;
  return [id, item, seed, cellOf(prompt), cellOf(references), response, finish_reason, num_tokens, ...values(metrics)];
}

const othersOf = ({ other }: EvaluationRecord): Cell[] => [other?.response ?? null, ...values(other?.metrics)];

/** Errors of the request are thrown. */
export async function exportRecords(
  ctx: Context,
  id: string,
  asked: RecordFilter,
  format: ExportFormat,
): Promise<ReadableStream<Uint8Array>> {
  const filter = await recordFilter(ctx, id, asked);
  const compared = filter.changedFrom !== undefined;
  const source = {
    columns: [...COLUMNS, ...MetricName.options, ...(compared ? OTHERS : [])],
    cells: (record: EvaluationRecord) => [...cellsOf(record), ...(compared ? othersOf(record) : [])],
    async read(window: { last: number; limit: number }) {
      const { rows, more } = await readRecords(ctx.db, id, filter, window);
      return { records: rows.map(present), last: rows.at(-1)?.row.position ?? window.last, more };
    },
  };
  return exported(source, format);
}
