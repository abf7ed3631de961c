// Evaluations: generate and grade, or grade given responses; their records; the leaderboard over them.
import { z } from "zod";
import {
  Failure,
  Id,
  ModelName,
  Name,
  Prompt,
  SearchText,
  Sha256,
  Status,
  Template,
  Timestamp,
  listOf,
  text,
} from "./common.ts";
import { RowId } from "./datasets.ts";
import { FinishReason, Generation } from "./generation.ts";

/** Every metric there is: what is kept, computed or shown of each is a record over these names. */
export const MetricName = z
  .enum(["exact_match", "contains", "numeric_match", "regex_match", "token_f1", "rouge_1", "rouge_2", "rouge_l"])
  .meta({ id: "MetricName" });

/** The evaluation's own, for `regex_match`: a longer one is a program, not an answer's form. */
export const Pattern = text(500).min(1).meta({
  id: "Pattern",
  description: "an RE2 expression; found anywhere in the response unless ^ or $ anchor it; (?i), (?s), (?m) set flags",
});
export const PatternOrNone = z.union([Pattern, z.null()]);

export const GivenResponse = z.strictObject({ id: RowId, response: text(200_000) }).meta({ id: "GivenResponse" });

export const EvaluateModel = z
  .strictObject({
    model: ModelName,
    dataset: z.string().max(128),
    split: Name.default("test"),
    template: Template.default("chat"),
    generation: Generation.prefault({}),
    limit: z.union([z.int().min(1).max(100_000), z.null()]).default(null),
    pattern: PatternOrNone.default(null),
    repeat: z.boolean().default(false),
  })
  .meta({ id: "EvaluateModel" });

export const EvaluateResponses = z
  .strictObject({
    name: Name,
    dataset: z.string().max(128),
    split: Name.default("test"),
    pattern: PatternOrNone.default(null),
    responses: z.array(GivenResponse).min(1).max(10_000),
    repeat: z.boolean().default(false),
  })
  .meta({ id: "EvaluateResponses" });

export const CreateEvaluation = z.union([EvaluateModel, EvaluateResponses]).meta({ id: "CreateEvaluation" });

const Percent = z.number().min(0).max(100);
export const MetricInterval = z.strictObject({ mean: Percent, low: Percent, high: Percent, n: z.int().min(1) }).meta({
  id: "MetricInterval",
  description: "x100; 95% interval: Wilson for 0/1 with one seed, else seeded bootstrap over items",
});

export const EvaluationMetrics = z
  .record(MetricName, z.union([MetricInterval, z.null()]))
  .meta({ id: "EvaluationMetrics", description: "null: no item has a value, as of regex_match without a pattern" });

/** One response's values. */
export const MetricValues = z
  .record(MetricName, z.union([Percent, z.null()]))
  .meta({ id: "MetricValues", description: "x100; null: skipped, and left out of every mean" });

/** What the figures were made from, by digest; generation, template and pattern stand beside it. */
export const Provenance = z
  .strictObject({
    weights_digest: z.union([Sha256, z.null()]).meta({ description: "of a checkpoint: its sha256" }),
    tokenizer_digest: z.union([Sha256, z.null()]),
    template_digest: z.union([Sha256, z.null()]),
    dataset_sha256: Sha256,
    split_sha256: Sha256,
    graders: z.string().meta({ description: "every metric with the version of its grader" }),
  })
  .meta({ id: "Provenance", description: "digests of the model are null where responses were given" });

export const Evaluation = z
  .strictObject({
    id: Id,
    object: z.enum(["evaluation"]),
    created_at: Timestamp,
    status: Status,
    model: ModelName.meta({ description: "the model's id, or the name given with the responses" }),
    model_name: z.union([z.string(), z.null()]),
    dataset: Id,
    split: Name,
    template: z.union([Template, z.null()]),
    generation: z.union([Generation, z.null()]),
    limit: z.union([z.int(), z.null()]),
    pattern: PatternOrNone,
    n: z.int().min(0).meta({ description: "items in the evaluation" }),
    done: z.int().min(0).meta({ description: "responses so far; n times the seeds when complete" }),
    metrics: z.union([EvaluationMetrics, z.null()]),
    provenance: Provenance,
    job: z.union([Id, z.null()]),
    error: z.union([Failure, z.null()]),
  })
  .meta({ id: "Evaluation" });

export const EvaluationList = listOf(Evaluation).meta({ id: "EvaluationList" });

export const EvaluationRecord = z
  .strictObject({
    id: z.string(),
    object: z.enum(["record"]),
    item: RowId,
    seed: z.int().min(0),
    prompt: Prompt,
    references: z.array(z.string()),
    response: z.string(),
    finish_reason: z.union([FinishReason, z.null()]),
    num_tokens: z.union([z.int().min(0), z.null()]),
    metrics: MetricValues,
    other: z
      .union([z.strictObject({ response: z.string(), metrics: MetricValues }), z.null()])
      .meta({ description: "the item's record in the evaluation that changed_from names; null without it" }),
  })
  .meta({ id: "EvaluationRecord" });

export const RecordList = listOf(EvaluationRecord).meta({ id: "RecordList" });

/** Which records of an evaluation are wanted. */
export const RecordFilter = z.strictObject({
  metric: MetricName.default("exact_match").meta({ description: "what outcome and changed_from go by" }),
  outcome: z
    .enum(["right", "wrong"])
    .optional()
    .meta({ description: "right: 100 on the metric; wrong: below it; skipped items are neither" }),
  changed_from: z
    .string()
    .regex(/^ev_[0-9A-Za-z]{1,64}$/)
    .optional()
    .meta({ description: "only items whose value, the mean over seeds, differs from this evaluation's" }),
  q: SearchText.optional().meta({
    description: "only records with this text in prompt, response or a reference; A-Z match a-z",
  }),
});

export const LeaderboardEntry = z
  .strictObject({
    rank: z.int().min(1),
    group: z.int().min(1),
    model: z.string(),
    model_name: z.union([z.string(), z.null()]),
    evaluation: Id,
    mean: Percent,
    low: Percent,
    high: Percent,
    n: z.int().min(1),
    p_vs_best: z.union([z.number().min(0).max(1), z.null()]),
    p_vs_previous: z.union([z.number().min(0).max(1), z.null()]),
    selected_on_this_split: z.boolean(),
  })
  .meta({ id: "LeaderboardEntry" });

export const Leaderboard = z
  .strictObject({
    object: z.enum(["leaderboard"]),
    dataset: Id,
    split: Name,
    template: z.union([Template, z.null()]),
    limit: z.union([z.int(), z.null()]),
    pattern: PatternOrNone,
    metric: MetricName,
    data: z.array(LeaderboardEntry),
    detectable_difference: z.union([Percent, z.null()]).meta({
      description: "the smallest paired difference, in points, that this many items detect at 5% with 80% power",
    }),
    note: z.string(),
  })
  .meta({ id: "Leaderboard" });

export type MetricName = z.infer<typeof MetricName>;
export type MetricInterval = z.infer<typeof MetricInterval>;
export type MetricValues = z.infer<typeof MetricValues>;
export type EvaluateModel = z.infer<typeof EvaluateModel>;
export type EvaluateResponses = z.infer<typeof EvaluateResponses>;
export type Evaluation = z.infer<typeof Evaluation>;
export type Provenance = z.infer<typeof Provenance>;
export type EvaluationMetrics = z.infer<typeof EvaluationMetrics>;
export type EvaluationRecord = z.infer<typeof EvaluationRecord>;
export type RecordFilter = z.infer<typeof RecordFilter>;
export type Leaderboard = z.infer<typeof Leaderboard>;
export type LeaderboardEntry = z.infer<typeof LeaderboardEntry>;
