// Models by whatever name a request uses: an id, a name in the project, or a checkpoint of a run.
import { MODEL_CACHE_MS } from "../config.ts";
import { ApiError } from "../errors.ts";
import type { JobState, StoredCheckpoint } from "../pool/api.ts";
import { findModel } from "../store/models.ts";
import type { ModelRow } from "../store/models.ts";
import type { ModelFacts, ModelRef } from "../wire/models.ts";
import type { CreateRun } from "../wire/runs.ts";
import type { Context } from "./context.ts";
import { Lately } from "./lately.ts";

export interface ResolvedModel {
  id: string;
  name: string | null;
  ref: ModelRef;
  facts: ModelFacts;
}

const CHECKPOINT = /^(run_[0-9A-Za-z]+)@(best|([0-9]{1,9})(?:\.([0-9]{1,6}))?)$/;

/** The run, step and lineage that a checkpoint's id says; null for any other model's. */
export function checkpointPlace(id: string): { run: string; step: number; lineage: number } | null {
  const [, run, , step, lineage = "0"] = CHECKPOINT.exec(id) ?? [];
  return run === undefined || step === undefined ? null : { run, step: Number(step), lineage: Number(lineage) };
}

/** A name as a record keeps it: the best checkpoint may be another tomorrow, the one that was used is the same. */
export const pinned = (name: string, model: ResolvedModel): string => (name.endsWith("@best") ? model.id : name);

export const missingModel = (name: string, param: string): ApiError =>
  new ApiError(
    "not_found",
    `${param}: the project has no model ${name}; register it with POST /v1/models, or see GET /v1/models.`,
    { param },
  );

/** The stored checkpoint that `name` stands for; null if `name` is not a checkpoint's. */
export async function findCheckpoint(ctx: Context, name: string, param: string): Promise<StoredCheckpoint | null> {
  const [, run, step] = CHECKPOINT.exec(name) ?? [];
  if (run === undefined || step === undefined) return null;
  const stored = await ctx.pool.getCheckpoint(ctx.project.id, run, step);
  if (stored !== null) return stored;
  const where =
    step === "best"
      ? "a run has one once an evaluation that it asked for is graded"
      : `GET /v1/runs/${run}/checkpoints lists those there are`;
  throw new ApiError("not_found", `${param}: the project has no checkpoint ${name}; ${where}.`, { param });
}

/** The model that a student is, is cut from, or has its tokenizer from. */
const originOf = (student: CreateRun["student"]): string => {
  if ("model" in student) return student.model;
  return "prune" in student ? student.prune.model : student.init.tokenizer;
};

type Init = Extract<CreateRun["student"], { init: unknown }>["init"];

/** What is known of a student that begins at random before a worker has made it: all but its size. */
export const initFacts = (tokenizer: ModelFacts, config: Init["config"]): ModelFacts => ({
  ...tokenizer,
  architecture: "LlamaForCausalLM",
  layers: config.num_hidden_layers,
  context_length: config.max_position_embeddings,
  layer_indices: null,
});

/** A checkpoint's files hold the whole student, so no layer is left to drop; all else is as in the student it was trained from. */
export async function resolveCheckpoint(ctx: Context, stored: StoredCheckpoint, param: string): Promise<ResolvedModel> {
  const { checkpoint, state, run } = stored;
  const origin = (await resolveModel(ctx, originOf(run.student), param)).facts;
  const facts = "init" in run.student ? initFacts(origin, run.student.init.config) : origin;
  return {
    id: checkpoint.id,
    name: null,
    ref: {
      model: checkpoint.id,
      base: { type: "files", files: state.files },
      layer_indices: null,
      weights_digest: state.sha256,
    },
    facts: {
      ...facts,
      layers: run.student_layers?.length ?? facts.layers,
      layer_indices: null,
      parameters: state.parameters,
      weights_digest: state.sha256,
    },
  };
}

/** The row as its `prepare` job left it: the pool knows before the record does. */
export function withOutcome(row: ModelRow, job: JobState | null): ModelRow {
  if (row.status !== "queued" || job === null) return row;
  if (job.status === "completed" && job.output?.kind === "prepare")
    return { ...row, status: "ready", facts: job.output.facts };
  if (job.status === "failed" || job.status === "cancelled") {
    const error = job.error ?? { code: "cancelled", message: `job ${job.id} was cancelled`, retryable: false };
    return { ...row, status: "failed", error };
  }
  return row;
}

/** By id or name; null if the project has no such model. */
export async function currentModel(ctx: Context, name: string): Promise<ModelRow | null> {
  const row = await findModel(ctx.db, ctx.project.id, name);
  if (row?.status !== "queued" || row.job === null) return row;
  return withOutcome(row, await ctx.pool.getJob(ctx.project.id, row.job));
}

/** As many as a bound on memory allows, far above those that one isolate serves in ten seconds. */
const lately = new Lately<ResolvedModel>({ ms: MODEL_CACHE_MS, size: 1000 });

/** The model that `name` stands for, ready to be used; `param` is the request's field that holds the name. What was found
 * lately is trusted, but for `@best`, which may be another at any time: of one that is deleted the end shows a little late. */
export async function resolveModel(ctx: Context, name: string, param: string): Promise<ResolvedModel> {
  const key = `${ctx.project.id} ${name}`;
  const found = lately.get(key);
  if (found !== null) return found;
  const model = await findModelNamed(ctx, name, param);
  if (!name.endsWith("@best")) lately.set(key, model);
  return model;
}

/** Makes this isolate look the project's models up again. */
export const forgetModels = (project: string): void => lately.deleteAll(`${project} `);

async function findModelNamed(ctx: Context, name: string, param: string): Promise<ResolvedModel> {
  const stored = await findCheckpoint(ctx, name, param);
  if (stored !== null) return resolveCheckpoint(ctx, stored, param);
  const row = await currentModel(ctx, name);
  if (row === null) throw missingModel(name, param);
  if (row.facts !== null && row.status === "ready")
    return { id: row.id, name: row.name, ref: row.ref, facts: row.facts };
  const why =
    row.status === "failed"
      ? `could not be loaded: ${row.error?.message ?? "no reason was recorded"}`
      : `is waiting for a worker to load it (job ${row.job ?? "unknown"}); try again when GET /v1/models/${row.id} says ready`;
  throw new ApiError("model_not_ready", `${param}: model ${name} ${why}.`, { param });
}

/** Layers that a copy of `keepLayers` keeps: floor(i*(L-1)/(k-1) + 0.5) for i = 0..k-1, as indices of the base's layers. */
export function pruneLayers(facts: ModelFacts, keepLayers: number, param: string): number[] {
  const { layers } = facts;
  if (keepLayers > layers) {
    throw new ApiError("invalid_request", `${param}: the model has ${layers} layers; keep ${layers} at the most.`, {
      param,
    });
  }
  const even = Array.from({ length: keepLayers }, (_, i) =>
    keepLayers === 1 ? 0 : Math.floor((i * (layers - 1)) / (keepLayers - 1) + 0.5),
  );
  return ofBase(facts, even);
}

/** The layers named, as indices of the base's layers. */
export function keptLayers(facts: ModelFacts, indices: readonly number[], param: string): number[] {
  const increasing = indices.every((index, i) => i === 0 || index > (indices[i - 1] ?? 0));
  if (!increasing || (indices.at(-1) ?? 0) >= facts.layers) {
    const message = `${param}: give layers from 0 to ${facts.layers - 1}, each once and in increasing order.`;
    throw new ApiError("invalid_request", message, { param });
  }
  return ofBase(facts, indices);
}

/** A pruned model's own layer i is layer `layer_indices[i]` of its base. */
const ofBase = ({ layer_indices: kept }: ModelFacts, indices: readonly number[]): number[] =>
  indices.map((index) => kept?.[index] ?? index);

/** Log-probabilities of two models are comparable only over the same tokens of the same text. */
export function assertSameTokenizer(other: ResolvedModel, student: ResolvedModel, param = "student"): void {
  const differs = [
    other.facts.tokenizer_digest === student.facts.tokenizer_digest ? null : "tokenizers",
    other.facts.template_digest === student.facts.template_digest ? null : "chat templates",
  ].filter((part) => part !== null);
  if (differs.length === 0) return;
  const role = param === "student" ? "teacher" : "model";
  const vocabularies = `vocabularies of ${other.facts.vocab_size} and ${student.facts.vocab_size}`;
  throw new ApiError(
    "tokenizer_mismatch",
    `${role} ${other.name ?? other.id} and student ${student.name ?? student.id} have different ${differs.join(" and ")} (${vocabularies}); ` +
      "choose a student of the same family, or make one by pruning the teacher.",
    { param },
  );
}
