// Preference evaluations: which response of a pair the implicit reward between a student and its teacher prefers, item by
// item; and the leaderboards over them.
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
} from "./common.ts";
import { RowId } from "./datasets.ts";
import { Evaluation, MetricInterval } from "./evaluations.ts";
import { FinishReason, Generation } from "./generation.ts";
import { Beta, DEFAULT_BETA } from "./scores.ts";

export const PreferenceKind = z.enum(["accuracy", "closeness"]).meta({
  id: "PreferenceKind",
  description:
    "accuracy: of the data set's chosen and rejected responses; closeness: of the teacher's output (chosen) and the student's (rejected)",
});

export const CreatePreferenceEvaluation = z
  .strictObject({
    student: ModelName,
    teacher: ModelName,
    dataset: z.string().max(128),
    split: Name.default("test"),
    template: Template.default("chat"),
    beta: Beta.default(DEFAULT_BETA),
    length_normalize: z.boolean().default(false),
    generation: Generation.optional().meta({
      description:
        "given: both models answer each prompt (closeness); left out: the rows' chosen and rejected (accuracy)",
    }),
    limit: z.union([z.int().min(1).max(100_000), z.null()]).default(null),
    repeat: z.boolean().default(false),
  })
  .meta({ id: "CreatePreferenceEvaluation" });

const Figure = z.union([MetricInterval, z.null()]);

export const PreferenceMetrics = z
  .strictObject({
    accuracy: Figure.meta({
      description: "x100: share of pairs with margin > 0, a tie counts 0.5; null under closeness",
    }),
    student_preferred: Figure.meta({
      description: "x100: mean probability that the student's output is preferred; null under accuracy",
    }),
  })
  .meta({ id: "PreferenceMetrics" });

const ModelDigests = z
  .strictObject({ weights_digest: Sha256, tokenizer_digest: Sha256, template_digest: Sha256 })
  .meta({ id: "ModelDigests" });

export const PreferenceEvaluation = z
  .strictObject({
    id: Id,
    object: z.enum(["preference_evaluation"]),
    created_at: Timestamp,
    status: Status,
    kind: PreferenceKind,
    student: ModelName,
    student_name: z.union([z.string(), z.null()]),
    teacher: ModelName,
    teacher_name: z.union([z.string(), z.null()]),
    dataset: Id,
    split: Name,
    template: Template,
    beta: z.number(),
    length_normalize: z.boolean(),
    generation: z.union([Generation, z.null()]),
    limit: z.union([z.int(), z.null()]),
    n: z.int().min(0).meta({ description: "items in the evaluation" }),
    done: z.int().min(0).meta({ description: "pairs so far; n times the seeds when complete" }),
    metrics: z.union([PreferenceMetrics, z.null()]),
    provenance: z.strictObject({
      student: ModelDigests,
      teacher: ModelDigests,
      dataset_sha256: Sha256,
      split_sha256: Sha256,
    }),
    job: z.union([Id, z.null()]),
    error: z.union([Failure, z.null()]),
    note: z.string().meta({ description: "what the figures are, and what they are not" }),
  })
  .meta({ id: "PreferenceEvaluation" });

/** An evaluation of either kind: what the pool works on, whatever its items are. */
export const AnyEvaluation = z.discriminatedUnion("object", [Evaluation, PreferenceEvaluation]);

export const PreferenceEvaluationList = listOf(PreferenceEvaluation).meta({ id: "PreferenceEvaluationList" });

/** One response of a pair, under both models. */
export const JudgedResponse = z
  .strictObject({
    response: z.string(),
    finish_reason: z.union([FinishReason, z.null()]),
    num_tokens: z.int().min(0),
    teacher_logprob: z.number(),
    student_logprob: z.number(),
    implicit_reward: z.number(),
  })
  .meta({ id: "JudgedResponse" });

export const PreferenceRecord = z
  .strictObject({
    id: z.string(),
    object: z.enum(["preference_record"]),
    item: RowId,
    seed: z.union([z.int().min(0), z.null()]),
    prompt: Prompt,
    chosen: JudgedResponse,
    rejected: JudgedResponse,
    margin: z.number().meta({ description: "implicit reward of chosen less that of rejected" }),
    probability: z.number().min(0).max(1).meta({ description: "that chosen is preferred: sigmoid(margin)" }),
    correct: z.union([z.number().min(0).max(1), z.null()]).meta({
      description: "1: margin > 0; 0.5: a tie; 0: else. Null under closeness, where no side is the right one",
    }),
  })
  .meta({ id: "PreferenceRecord" });

export const PreferenceRecordList = listOf(PreferenceRecord).meta({ id: "PreferenceRecordList" });

export const PreferenceOutcome = z.enum(["right", "wrong", "tie"]).meta({
  id: "PreferenceOutcome",
  description:
    "right: chosen has the larger reward; wrong: rejected has; tie: neither. Under closeness chosen is the teacher's output",
});

/** Which records of a preference evaluation are wanted. */
export const PreferenceRecordFilter = z.strictObject({
  outcome: PreferenceOutcome.optional(),
  q: SearchText.optional().meta({
    description: "only records with this text in prompt, chosen or rejected; A-Z match a-z",
  }),
});

/** Log-odds; null: the comparisons do not bound it on that side. */
const Bound = z.union([z.number(), z.null()]);

export const PreferenceLeaderboardEntry = z
  .strictObject({
    rank: z.int().min(1),
    group: z.int().min(1),
    student: z.string(),
    student_name: z.union([z.string(), z.null()]),
    teacher: z.string(),
    teacher_name: z.union([z.string(), z.null()]),
    beta: z.number(),
    evaluation: Id,
    ...MetricInterval.shape,
    strength: z.union([z.strictObject({ value: Bound, low: Bound, high: Bound }), z.null()]).meta({
      description: "Bradley-Terry, log-odds with the teacher at 0; a null bound: it won or lost every comparison",
    }),
    p_vs_best: z.union([z.number().min(0).max(1), z.null()]),
    p_vs_previous: z.union([z.number().min(0).max(1), z.null()]),
    selected_on_this_split: z.boolean(),
  })
  .meta({ id: "PreferenceLeaderboardEntry" });

export const PreferenceLeaderboard = z
  .strictObject({
    object: z.enum(["preference_leaderboard"]),
    kind: PreferenceKind,
    dataset: Id,
    split: Name,
    template: Template,
    limit: z.union([z.int(), z.null()]),
    length_normalize: z.boolean(),
    teacher: z.union([z.string(), z.null()]).meta({ description: "null under accuracy: each entry names its own" }),
    beta: z.union([z.number(), z.null()]).meta({ description: "null under accuracy, which no beta changes" }),
    generation: z.union([Generation, z.null()]),
    data: z.array(PreferenceLeaderboardEntry),
    detectable_difference: z.union([z.number().min(0).max(100), z.null()]),
    note: z.string(),
  })
  .meta({ id: "PreferenceLeaderboard" });

export type AnyEvaluation = z.infer<typeof AnyEvaluation>;
export type PreferenceKind = z.infer<typeof PreferenceKind>;
export type CreatePreferenceEvaluation = z.infer<typeof CreatePreferenceEvaluation>;
export type PreferenceEvaluation = z.infer<typeof PreferenceEvaluation>;
export type PreferenceMetrics = z.infer<typeof PreferenceMetrics>;
export type JudgedResponse = z.infer<typeof JudgedResponse>;
export type PreferenceOutcome = z.infer<typeof PreferenceOutcome>;
export type PreferenceRecordFilter = z.infer<typeof PreferenceRecordFilter>;
export type PreferenceRecord = z.infer<typeof PreferenceRecord>;
export type PreferenceLeaderboard = z.infer<typeof PreferenceLeaderboard>;
export type PreferenceLeaderboardEntry = z.infer<typeof PreferenceLeaderboardEntry>;
