// Evaluations of given responses: graded here, at once, with no worker.
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
import { ROUTE } from "./evaluate.ts";
import { present } from "./evaluations.ts";
import { gradeGiven } from "./grade-given.ts";
import { assertSameRequest } from "./idempotency.ts";
import { digest, resourceId } from "./identity.ts";

interface Prepared {
  id: string;
  ref: SplitRef;
  requestDigest: string;
  /** Null: a repeat, which no later request may be given. */
  identity: string | null;
}

function givenEvaluation(body: EvaluateResponses, { id, ref }: Prepared): Evaluation {
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
    n: body.responses.length,
    done: body.responses.length,
    metrics: null,
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
  const records = gradeGiven(prepared.id, body.responses, await readSplit(ctx, prepared.ref, null));
  const grades = records.map(({ item, exactMatch, rougeL }) => ({ item, exact_match: exactMatch, rouge_l: rougeL }));
  const metrics = summarize(grades, { resamples: resamplesFor(grades.length) });
  return { records, evaluation: { ...givenEvaluation(body, prepared), metrics } };
}

async function store(ctx: Context, body: EvaluateResponses, prepared: Prepared): Promise<EvaluationRow> {
  const { id, ref, requestDigest, identity } = prepared;
  const { records, evaluation } = await graded(ctx, body, prepared);
  const board = boardKey({ dataset: ref.dataset, split: ref.split, template: null, limit: null });
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
  const { name, responses } = body;
  const content = { name, split: [ref.dataset, ref.split, ref.blob.sha256], responses };
  const prepared = {
    id: await resourceId(ctx, "ev", ROUTE),
    ref,
    requestDigest: await digest(body),
    identity: body.repeat ? null : await digest(content),
  };
  const row = (await madeBefore(ctx, prepared)) ?? (await store(ctx, body, prepared));
  // Again on every repeat: should a request die between the two, the next one mends the board.
  await compareWithBoard(ctx.db, row);
  return present(row);
}
