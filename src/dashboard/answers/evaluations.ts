// What the page reads of evaluations, their records and their leaderboard.
import type * as wire from "../../wire/evaluations.ts";
import { dictionary, flag, listOf, number, object, orNull, text } from "../guards.ts";
import type { Read } from "../guards.ts";
import { isFailure, isGeneration, isInterval, isPrompt, page } from "./common.ts";
import type { Interval } from "./common.ts";

/** By metric, since a server may know more of them than this page. */
export type Scores = Partial<Record<string, number | null>>;

type EvaluationFields =
  | "id"
  | "created_at"
  | "status"
  | "model"
  | "model_name"
  | "dataset"
  | "split"
  | "template"
  | "generation"
  | "limit"
  | "pattern"
  | "n"
  | "done"
  | "error";

export interface Evaluation extends Read<Pick<wire.Evaluation, EvaluationFields>> {
  metrics: Partial<Record<string, Interval | null>> | null;
}

/** The same item as another evaluation answered it. */
export interface Other extends Read<Pick<NonNullable<wire.EvaluationRecord["other"]>, "response">> {
  metrics: Scores;
}

type RecordFields = "id" | "item" | "seed" | "prompt" | "references" | "response" | "finish_reason" | "num_tokens";

export interface Graded extends Read<Pick<wire.EvaluationRecord, RecordFields>> {
  metrics: Scores;
  /** Null but where records are asked for beside another evaluation. */
  other: Other | null;
}

export type Entry = Read<wire.LeaderboardEntry>;
export type Leaderboard = Read<Pick<wire.Leaderboard, "metric" | "data" | "detectable_difference" | "note">>;

const isEntry = object<Entry>({
  rank: number,
  group: number,
  model: text,
  model_name: orNull(text),
  evaluation: text,
  mean: number,
  low: number,
  high: number,
  n: number,
  p_vs_best: orNull(number),
  p_vs_previous: orNull(number),
  selected_on_this_split: flag,
});

export const isLeaderboard = object<Leaderboard>({
  metric: text,
  data: listOf(isEntry),
  detectable_difference: orNull(number),
  note: text,
});

export const isEvaluation = object<Evaluation>({
  id: text,
  created_at: text,
  status: text,
  model: text,
  model_name: orNull(text),
  dataset: text,
  split: text,
  template: orNull(text),
  generation: orNull(isGeneration),
  limit: orNull(number),
  pattern: orNull(text),
  n: number,
  done: number,
  metrics: orNull(dictionary(orNull(isInterval))),
  error: orNull(isFailure),
});

const isScores = dictionary(orNull(number));

export const isRecords = page(
  object<Graded>({
    id: text,
    item: text,
    seed: number,
    prompt: isPrompt,
    references: listOf(text),
    response: text,
    finish_reason: orNull(text),
    num_tokens: orNull(number),
    metrics: isScores,
    other: orNull(object<Other>({ response: text, metrics: isScores })),
  }),
);
