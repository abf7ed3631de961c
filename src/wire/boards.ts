// The boards of a project: what evaluations of either kind stand on, and what names each in a query of its leaderboard.
import { z } from "zod";
import { Id, ModelName, Name, Template, Timestamp, listOf } from "./common.ts";
import { PatternOrNone } from "./evaluations.ts";
import { Generation } from "./generation.ts";

const OfAnyKind = z.strictObject({
  object: z.enum(["board"]),
  dataset: Id,
  dataset_name: Name,
  split: Name,
  limit: z.union([z.int(), z.null()]),
  models: z.int().min(1).meta({ description: "entries of its leaderboard: models, or students with their teachers" }),
  newest_at: Timestamp,
  newest_evaluation: Id.meta({ description: "what `after`, `first_id` and `last_id` of this list name" }),
});

export const MetricBoard = OfAnyKind.extend({
  kind: z.enum(["metric"]),
  template: z.union([Template, z.null()]).meta({ description: "null: of given responses, `given` in a query" }),
  pattern: PatternOrNone,
}).meta({ id: "MetricBoard", description: "of GET /v1/leaderboard, by any metric" });

export const AccuracyBoard = OfAnyKind.extend({
  kind: z.enum(["accuracy"]),
  template: Template,
  length_normalize: z.boolean(),
}).meta({ id: "AccuracyBoard", description: "of GET /v1/preference-leaderboard?kind=accuracy" });

export const ClosenessBoard = OfAnyKind.extend({
  kind: z.enum(["closeness"]),
  template: Template,
  length_normalize: z.boolean(),
  teacher: ModelName,
  teacher_name: z.union([z.string(), z.null()]),
  beta: z.number(),
  generation: Generation,
}).meta({ id: "ClosenessBoard", description: "of GET /v1/preference-leaderboard?kind=closeness" });

export const Board = z.discriminatedUnion("kind", [MetricBoard, AccuracyBoard, ClosenessBoard]).meta({ id: "Board" });

export const BoardList = listOf(Board).meta({ id: "BoardList" });

export type MetricBoard = z.infer<typeof MetricBoard>;
export type AccuracyBoard = z.infer<typeof AccuracyBoard>;
export type ClosenessBoard = z.infer<typeof ClosenessBoard>;
export type Board = z.infer<typeof Board>;
