// What the page reads of the boards: what all evaluations of one ranking have in common.
import type * as wire from "../../wire/boards.ts";
import { either, exactly, flag, number, object, orNull, text } from "../guards.ts";
import type { Read } from "../guards.ts";
import { isGeneration, page } from "./common.ts";

type SharedFields = "dataset" | "dataset_name" | "split" | "limit" | "models" | "newest_at";

export interface MetricBoard extends Read<Pick<wire.MetricBoard, SharedFields | "template" | "pattern">> {
  kind: "metric";
}

export interface AccuracyBoard extends Read<Pick<wire.AccuracyBoard, SharedFields | "template" | "length_normalize">> {
  kind: "accuracy";
}

type ClosenessFields =
  SharedFields | "template" | "length_normalize" | "teacher" | "teacher_name" | "beta" | "generation";

export interface ClosenessBoard extends Read<Pick<wire.ClosenessBoard, ClosenessFields>> {
  kind: "closeness";
}

export type PreferenceBoard = AccuracyBoard | ClosenessBoard;
export type Board = MetricBoard | PreferenceBoard;

const shared = {
  dataset: text,
  dataset_name: text,
  split: text,
  limit: orNull(number),
  models: number,
  newest_at: text,
};

const isMetricBoard = object<MetricBoard>({
  ...shared,
  kind: exactly("metric"),
  template: orNull(text),
  pattern: orNull(text),
});

const isAccuracyBoard = object<AccuracyBoard>({
  ...shared,
  kind: exactly("accuracy"),
  template: text,
  length_normalize: flag,
});

const isClosenessBoard = object<ClosenessBoard>({
  ...shared,
  kind: exactly("closeness"),
  template: text,
  length_normalize: flag,
  teacher: text,
  teacher_name: orNull(text),
  beta: number,
  generation: isGeneration,
});

export const isBoards = page(either(isMetricBoard, either(isAccuracyBoard, isClosenessBoard)));
