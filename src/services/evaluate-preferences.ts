// Preference evaluations: cut into fixed batches here, scored by workers, judged when they settle.
import { ApiError } from "../errors.ts";
import type { Row, SplitRef } from "../wire/datasets.ts";
import type { PreferBatch } from "../wire/pairs.ts";
import type {
  CreatePreferenceEvaluation,
  PreferenceEvaluation,
  PreferenceKind,
} from "../wire/preference-evaluations.ts";
import { assertCuttable, cut, effectiveLimit, seedsOf } from "./batches.ts";
import type { Context } from "./context.ts";
import { findDataset, readSplit, splitRef } from "./datasets.ts";
import type { StoredDataset } from "./datasets.ts";
import { untilEnded } from "./evaluations.ts";
import { digest, resourceId, twinId } from "./identity.ts";
import type { ResolvedModel } from "./models.ts";
import { getPreferenceEvaluation } from "./preference-evaluations.ts";
import { preferenceNote } from "./preference-notes.ts";
import { assertScorable, resolvePair } from "./score.ts";
import type { Pair } from "./score.ts";
import { expectedTokens } from "./expected-tokens.ts";
import { unwrap } from "./wait.ts";

interface Prepared {
  id: string;
  pair: Pair;
  dataset: StoredDataset;
  ref: SplitRef;
  limit: number | null;
  rows: Row[];
}

const kindOf = (body: CreatePreferenceEvaluation): PreferenceKind =>
  body.generation === undefined ? "accuracy" : "closeness";

type GivenPair = NonNullable<PreferBatch["items"][number]["pair"]>;

const givenPair = (row: Row): GivenPair | null =>
  row.rejected === null ? null : { chosen: row.response, rejected: row.rejected };

function assertPairs(rows: readonly Row[], body: CreatePreferenceEvaluation): void {
  for (const row of rows) {
    const pair = givenPair(row);
    if (pair === null) {
      const message =
        `dataset: row ${row.id} has no rejected response; choose a data set of prompt, chosen and rejected, ` +
        "or give generation, so that both models answer the prompts.";
      throw new ApiError("invalid_request", message, { param: "dataset" });
    }
    assertScorable([pair.chosen, pair.rejected], body.template, `dataset row ${row.id}`);
  }
}

/** Refuses what could not be computed, and cuts the rest. */
function batchesOf(body: CreatePreferenceEvaluation, { pair, rows }: Prepared): PreferBatch[] {
  const given = body.generation === undefined;
  if (given) assertPairs(rows, body);
  const seeds = seedsOf(body.generation ?? null);
  const pairOf = (row: Row): GivenPair | null => (given ? givenPair(row) : null);
  const sent = (row: Row): unknown => [row.prompt, pairOf(row)];
  assertCuttable(rows, { models: [pair.teacher, pair.student], seeds, sent });
  return cut(rows, seeds, {
    sent,
    item: (row, seed) => ({ item: row.id, seed, prompt: row.prompt, pair: pairOf(row) }),
  });
}

const digestsOf = ({ facts }: ResolvedModel) => ({
  weights_digest: facts.weights_digest,
  tokenizer_digest: facts.tokenizer_digest,
  template_digest: facts.template_digest,
});

function emptyEvaluation(body: CreatePreferenceEvaluation, prepared: Prepared): PreferenceEvaluation {
  const { id, dataset, ref, limit, rows } = prepared;
  const { student, teacher } = prepared.pair;
  const { template, beta, length_normalize, generation = null } = body;
  return {
    id,
    object: "preference_evaluation",
    created_at: new Date().toISOString(),
    status: "queued",
    kind: kindOf(body),
    student: student.id,
    student_name: student.name,
    teacher: teacher.id,
    teacher_name: teacher.name,
    dataset: ref.dataset,
    split: ref.split,
    template,
    beta,
    length_normalize,
    generation,
    limit,
    n: rows.length,
    done: 0,
    metrics: null,
    provenance: {
      student: digestsOf(student),
      teacher: digestsOf(teacher),
      dataset_sha256: dataset.body.sha256,
      split_sha256: ref.blob.sha256,
    },
    job: twinId("job", id),
    error: null,
    note: preferenceNote(kindOf(body), length_normalize),
  };
}

/** All that determines the pairs and how they are judged: asked again, the same evaluation is returned. */
const identityOf = (body: CreatePreferenceEvaluation, { pair, ref, limit }: Prepared): Promise<string> =>
  digest({
    preference: [pair.student, pair.teacher].map(({ id, facts }) => [id, facts.weights_digest]),
    split: [ref.dataset, ref.split, ref.blob.sha256],
    template: body.template,
    beta: body.beta,
    length_normalize: body.length_normalize,
    generation: body.generation ?? null,
    limit,
  });

/** Tokens that both models read or write, for fairness between projects. */
function costOf(rows: readonly Row[], { generation }: CreatePreferenceEvaluation): number {
  const repeats = generation?.seeds.length ?? 1;
  const ofRow = (row: Row): number =>
    expectedTokens(row.prompt) +
    (generation === undefined ? expectedTokens([row.response, row.rejected]) : 2 * generation.max_new_tokens);
  return 2 * repeats * rows.reduce((sum, row) => sum + ofRow(row), 0);
}

async function prepare(ctx: Context, body: CreatePreferenceEvaluation): Promise<Prepared> {
  const [pair, dataset] = await Promise.all([resolvePair(ctx, body), findDataset(ctx, body.dataset, "dataset")]);
  const ref = splitRef(dataset, body.split, "split");
  const limit = effectiveLimit(body.limit, ref.rows);
  const rows = await readSplit(ctx, ref, limit);
  return { id: await resourceId(ctx, "pe", "POST /v1/preference-evaluations"), pair, dataset, ref, limit, rows };
}

/** Starts a preference evaluation, or returns the one that was asked for before. */
export async function evaluatePreferences(
  ctx: Context,
  body: CreatePreferenceEvaluation,
  wait: number,
): Promise<PreferenceEvaluation> {
  const prepared = await prepare(ctx, body);
  const { id, pair, rows } = prepared;
  const { template, generation = null } = body;
  const models = { teacher: pair.teacher.ref, student: pair.student.ref };
  const answer = await ctx.pool.submitEvaluation({
    id,
    job: twinId("job", id),
    project: ctx.project.id,
    digest: await digest(body),
    identity: body.repeat ? null : await identityOf(body, prepared),
    evaluation: emptyEvaluation(body, prepared),
    payload: { kind: "prefer", evaluation: id, ...models, template, generation },
    batches: batchesOf(body, prepared),
    cost: costOf(rows, body),
  });
  const made = unwrap(answer).resource.id;
  return untilEnded(ctx, () => getPreferenceEvaluation(ctx, made), wait);
}
