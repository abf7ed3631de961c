// Models by whatever name a request uses: an id, a name in the project, or a checkpoint of a run.
import { ApiError } from "../errors.ts";
import type { JobState, StoredCheckpoint } from "../pool/api.ts";
import { findModel } from "../store/models.ts";
import type { ModelRow } from "../store/models.ts";
import type { ModelFacts, ModelRef } from "../wire/models.ts";
import type { Context } from "./context.ts";

export interface ResolvedModel {
  id: string;
  name: string | null;
  ref: ModelRef;
  facts: ModelFacts;
}

const CHECKPOINT = /^(run_[0-9A-Za-z]+)@(best|[0-9]{1,9}(?:\.[0-9]{1,6})?)$/;

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
  const stored = step === "best" ? null : await ctx.pool.getCheckpoint(ctx.project.id, run, step);
  if (stored !== null) return stored;
  const where = `GET /v1/runs/${run}/checkpoints lists those there are`;
  throw new ApiError("not_found", `${param}: the project has no checkpoint ${name}; ${where}.`, { param });
}

/** A checkpoint's files hold the whole student, so no layer is left to drop; all else is as in the student it was trained from. */
export async function resolveCheckpoint(ctx: Context, stored: StoredCheckpoint, param: string): Promise<ResolvedModel> {
  const { checkpoint, state, run } = stored;
  const student = "prune" in run.student ? run.student.prune.model : run.student.model;
  const base = await resolveModel(ctx, student, param);
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
      ...base.facts,
      layers: run.student_layers?.length ?? base.facts.layers,
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

/** The model that `name` stands for, ready to be used; `param` is the request's field that holds the name. */
export async function resolveModel(ctx: Context, name: string, param: string): Promise<ResolvedModel> {
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
  const { layers, layer_indices: kept } = facts;
  if (keepLayers > layers) {
    throw new ApiError("invalid_request", `${param}: the model has ${layers} layers; keep ${layers} at the most.`, {
      param,
    });
  }
  return Array.from({ length: keepLayers }, (_, i) => {
    const index = keepLayers === 1 ? 0 : Math.floor((i * (layers - 1)) / (keepLayers - 1) + 0.5);
    return kept?.[index] ?? index;
  });
}

/** Log-probabilities of two models are comparable only over the same tokens of the same text. */
export function assertSameTokenizer(teacher: ResolvedModel, student: ResolvedModel): void {
  const differs = [
    teacher.facts.tokenizer_digest === student.facts.tokenizer_digest ? null : "tokenizers",
    teacher.facts.template_digest === student.facts.template_digest ? null : "chat templates",
  ].filter((part) => part !== null);
  if (differs.length === 0) return;
  const vocabularies = `vocabularies of ${teacher.facts.vocab_size} and ${student.facts.vocab_size}`;
  throw new ApiError(
    "tokenizer_mismatch",
    `teacher ${teacher.name ?? teacher.id} and student ${student.name ?? student.id} have different ${differs.join(" and ")} (${vocabularies}); ` +
      "choose a student of the same family, or make one by pruning the teacher.",
    { param: "student" },
  );
}
