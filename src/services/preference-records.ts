// The judged pairs of a preference evaluation, in the order of its split: all, or those that a filter leaves; also as a file.
import { correctness, preferenceProbability } from "../scoring/preference.ts";
import { cursorPosition, recordId } from "../store/item-pages.ts";
import type { Window } from "../store/item-pages.ts";
import { readPreferenceRecords } from "../store/preference-record-pages.ts";
import type { PreferenceRecordRow } from "../store/preference-records.ts";
import { preferenceRecords } from "../store/schema.ts";
import type {
  JudgedResponse,
  PreferenceEvaluation,
  PreferenceRecord,
  PreferenceRecordFilter,
} from "../wire/preference-evaluations.ts";
import type { Context } from "./context.ts";
import type { Cell } from "./csv.ts";
import { cellOf, exported } from "./record-files.ts";
import type { ExportFormat } from "./record-files.ts";
import { envelope } from "./list.ts";
import type { Page } from "./list.ts";
import { getPreferenceEvaluation } from "./preference-evaluations.ts";

const present = (row: PreferenceRecordRow, { kind, generation }: PreferenceEvaluation): PreferenceRecord => ({
  id: recordId(row),
  object: "preference_record",
  item: row.item,
  seed: generation === null ? null : row.seed,
  prompt: row.prompt,
  chosen: row.chosen,
  rejected: row.rejected,
  margin: row.margin,
  probability: preferenceProbability(row.margin),
  correct: kind === "accuracy" ? correctness(row.margin) : null,
});

/** Reads the evaluation's records through the filter, once the evaluation is known to be there. */
async function reader(ctx: Context, id: string, { outcome, q: text }: PreferenceRecordFilter) {
  const evaluation = await getPreferenceEvaluation(ctx, id);
  return async (window: Window) => {
    const { rows, more } = await readPreferenceRecords(ctx.db, id, { outcome, text }, window);
    const records = rows.map((row) => present(row, evaluation));
    return { records, last: rows.at(-1)?.position ?? window.last, more };
  };
}

/** While the evaluation runs: the records so far. */
export async function preferenceRecordPage(
  ctx: Context,
  id: string,
  { after, limit, ...filter }: PreferenceRecordFilter & { after?: string | undefined; limit: number },
): Promise<Page<PreferenceRecord>> {
  const read = await reader(ctx, id, filter);
  const last = await cursorPosition(ctx.db, preferenceRecords, id, after);
  const { records, more } = await read({ last, limit });
  return envelope(records, more, (record) => record.id);
}

const SIDE = [
  "response",
  "finish_reason",
  "num_tokens",
  "teacher_logprob",
  "student_logprob",
  "implicit_reward",
] as const;
const SIDES = ["chosen", "rejected"] as const;
const COLUMNS = [
  ...["id", "item", "seed", "prompt"],
  ...SIDES.flatMap((side) => SIDE.map((column) => (column === "response" ? side : `${side}_${column}`))),
  ...["margin", "probability", "correct"],
];

const sideCells = (side: JudgedResponse): Cell[] => SIDE.map((column) => side[column]);

function cells(record: PreferenceRecord): Cell[] {
  const { id, item, seed, prompt, margin, probability, correct } = record;
  const sides = SIDES.flatMap((side) => sideCells(record[side]));
  return [id, item, seed, cellOf(prompt), ...sides, margin, probability, correct];
}

/** Errors of the request are thrown. */
export async function exportPreferenceRecords(
  ctx: Context,
  id: string,
  filter: PreferenceRecordFilter,
  format: ExportFormat,
): Promise<ReadableStream<Uint8Array>> {
  return exported({ columns: COLUMNS, cells, read: await reader(ctx, id, filter) }, format);
}
