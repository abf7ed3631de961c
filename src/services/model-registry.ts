// Models as a resource: register, list, show, delete. A worker loads each once (a `prepare` job) before it is ready.
import { ApiError } from "../errors.ts";
import type { JobState } from "../pool/api.ts";
import { forgetModelLogprobs } from "../store/logprobs.ts";
import { findModel, listModels as selectModels, modelUser, putModel, removeModel } from "../store/models.ts";
import type { ModelRow } from "../store/models.ts";
import type { CreateModel, Model, ModelBase, ModelRef, ModelSource } from "../wire/models.ts";
import type { Context } from "./context.ts";
import { assertSameRequest, refusingTakenName } from "./idempotency.ts";
import { digest, resourceId, twinId } from "./identity.ts";
import { page } from "./list.ts";
import {
  currentModel,
  findCheckpoint,
  forgetModels,
  missingModel,
  pruneLayers,
  resolveCheckpoint,
  resolveModel,
  withOutcome,
} from "./models.ts";
import { unwrap } from "./wait.ts";

function modelBody(ctx: Context, row: ModelRow): Model {
  return {
    id: row.id,
    object: "model",
    created: Math.floor(row.createdAt / 1000),
    owned_by: ctx.project.name,
    created_at: new Date(row.createdAt).toISOString(),
    name: row.name,
    status: row.status,
    source: row.source,
    facts: row.facts,
    job: row.job,
    error: row.error,
  };
}

interface Origin {
  source: ModelSource;
  base: ModelBase;
  layerIndices: ModelRef["layer_indices"];
}

/** Where the weights come from. A pruned copy is of a model that is ready, named by its id from then on. */
async function originOf(ctx: Context, source: ModelSource): Promise<Origin> {
  if (source.type !== "prune") return { source, base: source, layerIndices: null };
  const { id, ref, facts } = await resolveModel(ctx, source.model, "source.model");
  const layerIndices = pruneLayers(facts, source.keep_layers, "source.keep_layers");
  return { source: { ...source, model: id }, base: ref.base, layerIndices };
}

async function submitPrepare(ctx: Context, row: ModelRow, request: CreateModel): Promise<JobState> {
  const answer = await ctx.pool.submitJob({
    id: twinId("job", row.id),
    project: ctx.project.id,
    digest: row.requestDigest,
    subject: row.id,
    request: JSON.stringify(request),
    payload: { kind: "prepare", model: row.ref },
    artifact: null,
    cost: 1,
  });
  return unwrap(answer).resource;
}

/** Registers a model and asks for its first load; waits up to `seconds` for that. Both steps may be repeated. */
export async function createModel(ctx: Context, request: CreateModel, seconds: number): Promise<Model> {
  const now = Date.now();
  const id = await resourceId(ctx, "model", "POST /v1/models");
  const origin = await originOf(ctx, request.source);
  const requestDigest = await digest(request);
  const ref: ModelRef = { model: id, base: origin.base, layer_indices: origin.layerIndices, weights_digest: null };
  const row = await refusingTakenName("model", request.name, () =>
    putModel(ctx.db, {
      id,
      project: ctx.project.id,
      name: request.name,
      source: origin.source,
      ref,
      status: "queued",
      job: twinId("job", id),
      requestDigest,
      createdAt: now,
    }),
  );
  assertSameRequest(row, requestDigest, now);
  const job = await submitPrepare(ctx, row, request).catch(async (error: unknown) => {
    // Refused by the pool, as by a full queue: a model that nothing will load must not hold the name.
    if (error instanceof ApiError) await removeModel(ctx.db, ctx.project.id, id);
    throw error;
  });
  const after = seconds === 0 ? job : await ctx.pool.waitJob(ctx.project.id, job.id, seconds * 1000);
  return modelBody(ctx, withOutcome(row, after));
}

export async function listModels(ctx: Context, query: { after?: string | undefined; limit: number }) {
  const rows = await selectModels(ctx.db, ctx.project.id, query.after, query.limit + 1);
  return page(
    rows.map((row) => modelBody(ctx, row)),
    query.limit,
  );
}

/** A registered model, or a checkpoint as one. */
export async function getModel(ctx: Context, name: string): Promise<Model> {
  const stored = await findCheckpoint(ctx, name, "model");
  if (stored !== null) {
    const { checkpoint } = stored;
    const created = Date.parse(checkpoint.created_at);
    return {
      id: checkpoint.id,
      object: "model",
      created: Math.floor(created / 1000),
      owned_by: ctx.project.name,
      created_at: checkpoint.created_at,
      name: null,
      status: "ready",
      source: { type: "checkpoint", run: checkpoint.run, step: checkpoint.step },
      facts: (await resolveCheckpoint(ctx, stored, "model")).facts,
      job: null,
      error: null,
    };
  }
  const row = await currentModel(ctx, name);
  if (row === null) throw missingModel(name, "model");
  return modelBody(ctx, row);
}

export async function deleteModel(ctx: Context, name: string) {
  const row = await findModel(ctx.db, ctx.project.id, name);
  if (row === null) throw missingModel(name, "model");
  const user = await modelUser(ctx.db, ctx.project.id, row.id, row.name);
  if (user !== null)
    throw new ApiError("in_use", `Model ${row.name} is used by ${user}; delete that first.`, { param: "model" });
  if (row.facts !== null) await forgetModelLogprobs(ctx.db, ctx.project.id, row.facts.weights_digest);
  await removeModel(ctx.db, ctx.project.id, row.id);
  forgetModels(ctx.project.id);
  return { id: row.id, object: "model", deleted: true as const };
}
