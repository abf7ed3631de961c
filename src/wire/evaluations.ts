// Evaluations: generate and grade, or grade given responses; their records; the leaderboard over them.
import { z } from "zod";
import { Failure, Id, ModelName, Name, Prompt, Status, Template, Timestamp, listOf, text } from "./common.ts";
import { RowId } from "./datasets.ts";
import { FinishReason, Generation } from "./generation.ts";

export const MetricName = z.enum(["exact_match", "rouge_l"]).meta({ id: "MetricName" });

export const GivenResponse = z.strictObject({ id: RowId, response: text(200_000) }).meta({ id: "GivenResponse" });

export const EvaluateModel = z
  .strictObject({
    model: ModelName,
    dataset: z.string().max(128),
    split: Name.default("test"),
    template: Template.default("chat"),
    generation: Generation.prefault({}),
    limit: z.union([z.int().min(1).max(100_000), z.null()]).default(null),
    repeat: z.boolean().default(false),
  })
  .meta({ id: "EvaluateModel" });

export const EvaluateResponses = z
  .strictObject({
    name: Name,
    dataset: z.string().max(128),
    split: Name.default("test"),
    responses: z.array(GivenResponse).min(1).max(10_000),
    repeat: z.boolean().default(false),
  })
  .meta({ id: "EvaluateResponses" });

export const CreateEvaluation = z.union([EvaluateModel, EvaluateResponses]).meta({ id: "CreateEvaluation" });

const Percent = z.number().min(0).max(100);
const Interval = z.strictObject({ mean: Percent, low: Percent, high: Percent, n: z.int().min(1) }).meta({
  id: "MetricInterval",
  description: "x100; 95% interval: Wilson for 0/1 with one seed, else seeded bootstrap over items",
});

export const EvaluationMetrics = z
  .strictObject({ exact_match: z.union([Interval, z.null()]), rouge_l: z.union([Interval, z.null()]) })
  .meta({ id: "EvaluationMetrics" });

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
    n: z.int().min(0).meta({ description: "items in the evaluation" }),
    done: z.int().min(0).meta({ description: "responses so far; n times the seeds when complete" }),
    metrics: z.union([EvaluationMetrics, z.null()]),
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
    metrics: z.strictObject({ exact_match: z.union([Percent, z.null()]), rouge_l: z.union([Percent, z.null()]) }),
  })
  .meta({ id: "EvaluationRecord" });

export const RecordList = listOf(EvaluationRecord).meta({ id: "RecordList" });

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
    metric: MetricName,
    data: z.array(LeaderboardEntry),
    detectable_difference: z.union([Percent, z.null()]).meta({
      description: "the smallest paired difference, in points, that this many items detect at 5% with 80% power",
    }),
    note: z.string(),
  })
  .meta({ id: "Leaderboard" });

export type MetricName = z.infer<typeof MetricName>;
export type EvaluateModel = z.infer<typeof EvaluateModel>;
export type EvaluateResponses = z.infer<typeof EvaluateResponses>;
export type Evaluation = z.infer<typeof Evaluation>;
export type EvaluationMetrics = z.infer<typeof EvaluationMetrics>;
export type EvaluationRecord = z.infer<typeof EvaluationRecord>;
export type Leaderboard = z.infer<typeof Leaderboard>;
export type LeaderboardEntry = z.infer<typeof LeaderboardEntry>;
