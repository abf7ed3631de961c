// An evaluation's records, in the order of its split: all, or those that a filter leaves.
import { ApiError } from "../errors.ts";
import { cursorPosition, recordId } from "../store/item-pages.ts";
import { readRecords } from "../store/record-pages.ts";
import type { RecordPage } from "../store/record-pages.ts";
import type { RecordFilter as StoreFilter } from "../store/record-filters.ts";
import { records } from "../store/schema.ts";
import type { EvaluationRecord, RecordFilter } from "../wire/evaluations.ts";
import type { Context } from "./context.ts";
import { getEvaluation } from "./evaluations.ts";
import { envelope } from "./list.ts";
import type { Page } from "./list.ts";

export const present = ({ row, other }: RecordPage["rows"][number]): EvaluationRecord => ({
  id: recordId(row),
  object: "record",
  item: row.item,
  seed: row.seed,
  prompt: row.prompt,
  references: row.references,
  response: row.response,
  finish_reason: row.finishReason,
  num_tokens: row.numTokens,
  metrics: row.metrics,
  other: other === null ? null : { response: other.response, metrics: other.metrics },
});

/** The filter of a request, once the evaluation is known to be there and the other one to be of the same items. */
export async function recordFilter(ctx: Context, id: string, asked: RecordFilter): Promise<StoreFilter> {
  const { metric, outcome, changed_from: changedFrom, q: text } = asked;
  const evaluation = await getEvaluation(ctx, id);
  if (changedFrom !== undefined) {
    const other = await getEvaluation(ctx, changedFrom, "changed_from");
    if (other.dataset !== evaluation.dataset || other.split !== evaluation.split) {
      const message =
        `changed_from: ${changedFrom} is of split ${other.split} of ${other.dataset}, ` +
        `${id} of split ${evaluation.split} of ${evaluation.dataset}; choose an evaluation of the same split.`;
      throw new ApiError("invalid_request", message, { param: "changed_from" });
    }
  }
  return { metric, outcome, changedFrom, text };
}

/** While the evaluation runs: the records so far. */
export async function recordPage(
  ctx: Context,
  evaluation: string,
  query: RecordFilter & { after?: string | undefined; limit: number },
): Promise<Page<EvaluationRecord>> {
  const filter = await recordFilter(ctx, evaluation, query);
  const last = await cursorPosition(ctx.db, records, evaluation, query.after);
  const { rows, more } = await readRecords(ctx.db, evaluation, filter, { last, limit: query.limit });
  return envelope(rows.map(present), more, ({ id }) => id);
}
