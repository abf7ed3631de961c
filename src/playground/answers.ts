// What this page reads of the API: runs, their checkpoints' exports, models, scores.
import { isFailure, page } from "../dashboard/answers/common.ts";
import { either, exactly, listOf, number, object, orNull, text } from "../dashboard/guards.ts";
import type { Is, Read } from "../dashboard/guards.ts";
import type * as exports from "../wire/exports.ts";
import type * as jobs from "../wire/jobs.ts";
import type * as models from "../wire/models.ts";
import type * as runs from "../wire/runs.ts";
import type * as scores from "../wire/scores.ts";

export type Run = Read<Pick<runs.Run, "id" | "name" | "head" | "teacher" | "template">>;
export type Checkpoint = Read<Pick<runs.Checkpoint, "id">>;
export type Model = Read<Pick<models.Model, "id" | "name" | "status">>;
export type Precision = exports.Precision;
type ExportFields = "id" | "checkpoint" | "precision" | "bytes" | "model" | "difference" | "files";
export type Export = Pick<exports.Export, ExportFields>;
export type ExportFile = Export["files"][number];

/** The teacher's side of one response. */
export interface ScoreList extends Read<Pick<scores.ScoreList, "beta" | "computed_by" | "teacher_cache" | "note">> {
  data: { tokens: Pick<NonNullable<scores.Score["tokens"]>[number], "id" | "teacher_logprob">[] }[];
}

export interface Job extends Read<Pick<jobs.Job, "id" | "status" | "error" | "note">> {
  object: "job";
  result: unknown;
}

export const isRun = object<Run>({ id: text, name: text, head: number, teacher: orNull(text), template: text });
export const isRuns = page(isRun);
export const isCheckpoints = page(object<Checkpoint>({ id: text }));
export const isModels = page(object<Model>({ id: text, name: orNull(text), status: text }));

const isPrecision: Is<Precision> = either(exactly("fp32"), either(exactly("int8"), exactly("int4")));

export const isModel = object<exports.EdgeModel>({
  precision: isPrecision,
  architecture: text,
  parameters: number,
  layers: number,
  hidden_size: number,
  key_value_heads: number,
  head_dim: number,
  vocab_size: number,
  context_length: number,
  likeliest: number,
  end_id: orNull(number),
  stop_ids: listOf(number),
  weights_digest: text,
  tokenizer_digest: text,
  template_digest: text,
});

export const isExports = page(
  object<Export>({
    id: text,
    checkpoint: text,
    precision: isPrecision,
    bytes: number,
    model: isModel,
    difference: object<exports.Difference>({
      responses: number,
      tokens: number,
      mean: number,
      max: number,
      allowed: number,
    }),
    files: listOf(object<ExportFile>({ name: text, bytes: number, sha256: text, href: text })),
  }),
);

export const isScoreList = object<ScoreList>({
  beta: number,
  computed_by: text,
  teacher_cache: object({ hits: number, misses: number }),
  note: orNull(text),
  data: listOf(object({ tokens: listOf(object({ id: number, teacher_logprob: number })) })),
});

const unread: Is<unknown> = (value): value is unknown => value !== undefined;

export const isJob = object<Job>({
  object: exactly("job"),
  id: text,
  status: text,
  error: orNull(isFailure),
  note: orNull(text),
  result: unread,
});
