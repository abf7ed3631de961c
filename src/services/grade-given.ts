// Responses that somebody else generated, graded here: the ids must be those of the split.
import { MAX_RECORD_BYTES } from "../config.ts";
import { ApiError } from "../errors.ts";
import { grade } from "../evaluation/grade.ts";
import type { CompiledPattern } from "../evaluation/regex-match.ts";
import type { RecordRow } from "../store/records.ts";
import type { Row } from "../wire/datasets.ts";
import type { EvaluateResponses } from "../wire/evaluations.ts";

/** Ids named in an error: enough to find the mistake. */
const NAMED = 5;

const some = (ids: readonly string[]): string =>
  ids.slice(0, NAMED).join(", ") + (ids.length > NAMED ? ` and ${ids.length - NAMED} more` : "");

function mismatch(what: string, ids: readonly string[], cure: string): ApiError {
  return new ApiError("invalid_request", `responses: ${what}: ${some(ids)}; ${cure}.`, { param: "responses" });
}

/** Each item's response; 400 that names some of the ids that are duplicate, unknown or missing. */
function byId(given: EvaluateResponses["responses"], rows: readonly Row[]): Map<string, string> {
  const responses = new Map<string, string>();
  const duplicate: string[] = [];
  for (const { id, response } of given) {
    if (responses.has(id)) duplicate.push(id);
    responses.set(id, response);
  }
  if (duplicate.length > 0) throw mismatch("ids given more than once", duplicate, "give each item one response");
  const known = new Set(rows.map((row) => row.id));
  const unknown = [...responses.keys()].filter((id) => !known.has(id));
  if (unknown.length > 0) throw mismatch("ids that the split does not have", unknown, "see GET /v1/datasets/{id}/rows");
  const missing = rows.filter((row) => !responses.has(row.id)).map((row) => row.id);
  if (missing.length > 0) throw mismatch("items without a response", missing, "give one for every item of the split");
  return responses;
}

/** A row of D1 holds 2 MB: what would not fit is refused before anything is stored. */
export function assertStorable(row: Row, response: string): void {
  const bytes = 3 * (JSON.stringify(row).length + response.length);
  if (bytes <= MAX_RECORD_BYTES || new TextEncoder().encode(JSON.stringify(row) + response).length <= MAX_RECORD_BYTES)
    return;
  throw new ApiError(
    "too_large",
    `Item ${row.id} with its references is larger than ${MAX_RECORD_BYTES} bytes; shorten it.`,
  );
}

/** The records of given responses, in the order of the split. Nothing is known of seeds, tokens or how they ended. */
export function gradeGiven(
  evaluation: string,
  given: EvaluateResponses["responses"],
  rows: readonly Row[],
  pattern: CompiledPattern | null,
): RecordRow[] {
  const responses = byId(given, rows);
  return rows.map((row, position) => {
    const response = responses.get(row.id) ?? "";
    assertStorable(row, response);
    return {
      evaluation,
      item: row.id,
      seed: 0,
      position,
      prompt: row.prompt,
      references: row.references,
      response,
      finishReason: null,
      numTokens: null,
      metrics: grade(response, row.references, pattern),
    };
  });
}
