// What the page reads of preference evaluations, their records and their leaderboards.
import type * as wire from "../../wire/preference-evaluations.ts";
import { either, exactly, flag, listOf, number, object, orNull, text } from "../guards.ts";
import type { Read } from "../guards.ts";
import { isFailure, isGeneration, isInterval, isPrompt, page } from "./common.ts";

type EvaluationFields =
  | "id"
  | "created_at"
  | "status"
  | "student"
  | "student_name"
  | "teacher"
  | "teacher_name"
  | "dataset"
  | "split"
  | "template"
  | "beta"
  | "length_normalize"
  | "generation"
  | "limit"
  | "n"
  | "done"
  | "metrics"
  | "error"
  | "note";

export interface PreferenceEvaluation extends Read<Pick<wire.PreferenceEvaluation, EvaluationFields>> {
  kind: wire.PreferenceKind;
}

export type Side = Read<wire.JudgedResponse>;
export type Judged = Read<
  Pick<wire.PreferenceRecord, "id" | "item" | "seed" | "prompt" | "chosen" | "rejected" | "margin" | "probability">
>;

export type PreferenceEntry = Read<wire.PreferenceLeaderboardEntry>;
export type Strength = NonNullable<PreferenceEntry["strength"]>;
export type PreferenceLeaderboard = Read<Pick<wire.PreferenceLeaderboard, "data" | "detectable_difference" | "note">>;

const isEntry = object<PreferenceEntry>({
  rank: number,
  group: number,
  student: text,
  student_name: orNull(text),
  teacher: text,
  teacher_name: orNull(text),
  beta: number,
  evaluation: text,
  mean: number,
  low: number,
  high: number,
  n: number,
  strength: orNull(object<Strength>({ value: orNull(number), low: orNull(number), high: orNull(number) })),
  p_vs_best: orNull(number),
  p_vs_previous: orNull(number),
  selected_on_this_split: flag,
});

export const isPreferenceLeaderboard = object<PreferenceLeaderboard>({
  data: listOf(isEntry),
  detectable_difference: orNull(number),
  note: text,
});

export const isPreferenceEvaluation = object<PreferenceEvaluation>({
  id: text,
  created_at: text,
  status: text,
  kind: either(exactly("accuracy"), exactly("closeness")),
  student: text,
  student_name: orNull(text),
  teacher: text,
  teacher_name: orNull(text),
  dataset: text,
  split: text,
  template: text,
  beta: number,
  length_normalize: flag,
  generation: orNull(isGeneration),
  limit: orNull(number),
  n: number,
  done: number,
  metrics: orNull(object({ accuracy: orNull(isInterval), student_preferred: orNull(isInterval) })),
  error: orNull(isFailure),
  note: text,
});

const isSide = object<Side>({
  response: text,
  finish_reason: orNull(text),
  num_tokens: number,
  teacher_logprob: number,
  student_logprob: number,
  implicit_reward: number,
});

export const isPreferenceRecords = page(
  object<Judged>({
    id: text,
    item: text,
    seed: orNull(number),
    prompt: isPrompt,
    chosen: isSide,
    rejected: isSide,
    margin: number,
    probability: number,
  }),
);
