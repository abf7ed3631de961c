// What the page reads of the answers, and the guard of each.
import type { Failure, Message } from "../wire/common.ts";
import type * as wire from "../wire/evaluations.ts";
import type { Generation } from "../wire/generation.ts";
import { dictionary, either, flag, listOf, number, object, orNull, text } from "./guards.ts";
import type { Is, Read } from "./guards.ts";

export interface List<T> {
  data: T[];
  has_more: boolean;
}

/** What all evaluations of one ranking have in common. */
export type Board = Read<
  Pick<wire.Board, "dataset" | "dataset_name" | "split" | "template" | "limit" | "pattern" | "models" | "newest_at">
>;

/** By metric, since a server may know more of them than this page. */
export type Scores = Partial<Record<string, number | null>>;
export type Interval = NonNullable<wire.EvaluationMetrics["exact_match"]>;

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

const page = <T>(is: Is<T>): Is<List<T>> => object<List<T>>({ data: listOf(is), has_more: flag });

export const isBoards = page(
  object<Board>({
    dataset: text,
    dataset_name: text,
    split: text,
    template: orNull(text),
    limit: orNull(number),
    pattern: orNull(text),
    models: number,
    newest_at: text,
  }),
);

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

const isGeneration = object<Read<Generation>>({
  max_new_tokens: number,
  temperature: number,
  top_p: number,
  top_k: number,
  stop: listOf(text),
  seeds: listOf(number),
});

const isInterval = object<Interval>({ mean: number, low: number, high: number, n: number });

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
  error: orNull(object<Failure>({ code: text, message: text, retryable: flag })),
});

const isScores = dictionary(orNull(number));

export const isRecords = page(
  object<Graded>({
    id: text,
    item: text,
    seed: number,
    prompt: either(text, listOf(object<Read<Message>>({ role: text, content: text }))),
    references: listOf(text),
    response: text,
    finish_reason: orNull(text),
    num_tokens: orNull(number),
    metrics: isScores,
    other: orNull(object<Other>({ response: text, metrics: isScores })),
  }),
);

/** The body of an answer that is not 2xx; a proxy on the way may have sent something else. */
export const isProblem = object<{ error: { message: string } }>({ error: object({ message: text }) });
