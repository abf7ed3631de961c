// Evaluations of given responses: graded here, at once, with no worker.
import { GRADER_VERSIONS } from "../evaluation/graders.ts";
import type { CompiledPattern } from "../evaluation/regex-match.ts";
import { summarize } from "../evaluation/summary.ts";
import { isUniqueViolation } from "../store/conflict.ts";
import { boardKey, findEvaluation, findIdentical, putGiven } from "../store/evaluations.ts";
import type { EvaluationRow } from "../store/evaluations.ts";
import { insertRecords } from "../store/records.ts";
import type { SplitRef } from "../wire/datasets.ts";
import type { Evaluation, EvaluateResponses } from "../wire/evaluations.ts";
import { compareWithBoard, resamplesFor } from "./compare-board.ts";
import type { Context } from "./context.ts";
import { findDataset, readSplit, splitRef } from "./datasets.ts";
import type { StoredDataset } from "./datasets.ts";
import { ROUTE } from "./evaluate.ts";
import { present } from "./evaluations.ts";
import { gradeGiven } from "./grade-given.ts";
import { assertSameRequest } from "./idempotency.ts";
import { digest, resourceId } from "./identity.ts";
import { requestedPattern } from "./patterns.ts";
import { provenanceOf } from "./provenance.ts";

interface Prepared {
  id: string;
  dataset: StoredDataset;
  ref: SplitRef;
  pattern: CompiledPattern | null;
  requestDigest: string;
  /** Null: a repeat, which no later request may be given. */
  identity: string | null;
}

function givenEvaluation(body: EvaluateResponses, { id, dataset, ref }: Prepared): Evaluation {
  return {
    id,
    object: "evaluation",
    created_at: new Date().toISOString(),
    status: "completed",
    model: body.name,
    model_name: body.name,
    dataset: ref.dataset,
    split: ref.split,
    template: null,
    generation: null,
    limit: null,
    pattern: body.pattern,
    n: body.responses.length,
    done: body.responses.length,
    metrics: null,
    provenance: provenanceOf(null, dataset, ref),
    job: null,
    error: null,
  };
}

/** The evaluation that this request made before, by its Idempotency-Key or by its content. */
async function madeBefore(ctx: Context, { id, requestDigest, identity }: Prepared): Promise<EvaluationRow | null> {
  if (ctx.idempotencyKey !== null) {
    const row = await findEvaluation(ctx.db, ctx.project.id, id);
    const generated = row === null ? await ctx.pool.getEvaluation(ctx.project.id, id) : null;
    if (generated !== null) assertSameRequest({ requestDigest: "", createdAt: Date.now() }, requestDigest, Date.now());
    if (row !== null) {
      assertSameRequest(
        { requestDigest: row.requestDigest ?? "", createdAt: row.createdAt },
        requestDigest,
        Date.now(),
      );
      return row;
    }
  }
  return identity === null ? null : findIdentical(ctx.db, ctx.project.id, identity);
}

async function graded(ctx: Context, body: EvaluateResponses, prepared: Prepared) {
  const { id, ref, pattern } = prepared;
  const records = gradeGiven(id, body.responses, await readSplit(ctx, ref, null), pattern);
  const metrics = summarize(records, { resamples: resamplesFor(records.length) });
  return { records, evaluation: { ...givenEvaluation(body, prepared), metrics } };
}

async function store(ctx: Context, body: EvaluateResponses, prepared: Prepared): Promise<EvaluationRow> {
  const { id, requestDigest, identity } = prepared;
  const { records, evaluation } = await graded(ctx, body, prepared);
  const board = boardKey(evaluation, GRADER_VERSIONS);
  const row = { project: ctx.project.id, board, evaluation, requestDigest, identity };
  try {
    await ctx.db.batch([putGiven(ctx.db, row), ...insertRecords(ctx.db, records)]);
  } catch (error) {
    // The same Idempotency-Key at the same moment: the other request was first.
    if (!isUniqueViolation(error)) throw error;
  }
  const stored = await findEvaluation(ctx.db, ctx.project.id, id);
  if (stored === null) throw new Error(`evaluation ${id} was not stored`);
  assertSameRequest(
    { requestDigest: stored.requestDigest ?? "", createdAt: stored.createdAt },
    requestDigest,
    Date.now(),
  );
  return stored;
}

/** Grades given responses: completed when it returns. */
export async function evaluateResponses(ctx: Context, body: EvaluateResponses): Promise<Evaluation> {
  const dataset = await findDataset(ctx, body.dataset, "dataset");
  const ref = splitRef(dataset, body.split, "split");
  const { name, responses, pattern } = body;
  const split = [ref.dataset, ref.split, ref.blob.sha256];
  const content = { name, split, responses, pattern, graders: GRADER_VERSIONS };
  const prepared = {
    id: await resourceId(ctx, "ev", ROUTE),
    dataset,
    ref,
    pattern: requestedPattern(pattern),
    requestDigest: await digest(body),
    identity: body.repeat ? null : await digest(content),
  };
  const row = (await madeBefore(ctx, prepared)) ?? (await store(ctx, body, prepared));
  // Again on every repeat: should a request die between the two, the next one mends the board.
  if ((await compareWithBoard(ctx.db, row)) > 0) await ctx.pool.compareEvaluation(ctx.project.id, row.id);
  return present(row);
}
