// An evaluation's records, in the order of its split.
import type { EvaluationRecord } from "../wire/evaluations.ts";
import { listRecords, recordId } from "../store/records.ts";
import type { RecordRow } from "../store/records.ts";
import type { Context } from "./context.ts";
import { getEvaluation } from "./evaluations.ts";
import { page } from "./list.ts";
import type { Page } from "./list.ts";

const present = (row: RecordRow): EvaluationRecord => ({
  id: recordId(row),
  object: "record",
  item: row.item,
  seed: row.seed,
  prompt: row.prompt,
  references: row.references,
  response: row.response,
  finish_reason: row.finishReason,
  num_tokens: row.numTokens,
  metrics: { exact_match: row.exactMatch, rouge_l: row.rougeL },
});

/** While the evaluation runs: the records so far. */
export async function recordPage(
  ctx: Context,
  evaluation: string,
  query: { after?: string | undefined; limit: number },
): Promise<Page<EvaluationRecord>> {
  await getEvaluation(ctx, evaluation);
  const rows = await listRecords(ctx.db, evaluation, { after: query.after, limit: query.limit + 1 });
  return page(rows.map(present), query.limit);
}
