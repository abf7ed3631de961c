// The leaderboard: reads evaluations and comparisons, and computes no statistics of items.
import { BOARD_MODELS } from "../config.ts";
import { boardDetectableDifference, rankBoard } from "../evaluation/board.ts";
import { GRADER_VERSIONS } from "../evaluation/graders.ts";
import type { PairLookup, Ranked } from "../evaluation/board.ts";
import { boardKey, comparisonsAmong, newestOfBoard } from "../store/evaluations.ts";
import type { ComparisonRow, EvaluationRow } from "../store/evaluations.ts";
import { findRuns } from "../store/runs.ts";
import type { Template } from "../wire/common.ts";
import type { Leaderboard, LeaderboardEntry, MetricName } from "../wire/evaluations.ts";
import type { Run } from "../wire/runs.ts";
import type { Context } from "./context.ts";
import { findDataset, splitRef } from "./datasets.ts";
import { effectiveLimit } from "./batches.ts";
import { checkpointPlace } from "./models.ts";
import { wasChosenOn } from "./run-evaluations.ts";

export interface BoardQuery {
  dataset: string;
  split: string;
  template: Template | null;
  limit: number | null;
  pattern: string | null;
  metric: MetricName;
}

const NOTE =
  "Newest evaluation of each model. Intervals are 95%. p_vs_best and p_vs_previous are paired tests, adjusted by Holm over all tests " +
  "shown; null: not enough common items, or not compared yet. A group is a leader and those below it that are not significantly worse (p >= 0.05): " +
  "within a group the order may be chance. selected_on_this_split: the run chose this checkpoint by its result on this very " +
  "split, so its mean is too good in expectation. detectable_difference: a smaller true difference would often go unseen on this many items.";

type Scored = Pick<LeaderboardEntry, "mean" | "low" | "high" | "n"> & { row: EvaluationRow };

/** Best first; equal means by age, so that the order is the same every time. */
function scored(rows: readonly EvaluationRow[], metric: MetricName): Scored[] {
  return rows
    .flatMap((row) => {
      const figures = row.metrics?.[metric] ?? null;
      return figures === null ? [] : [{ ...figures, row }];
    })
    .sort((a, b) => b.mean - a.mean || a.row.createdAt - b.row.createdAt || (a.row.id < b.row.id ? -1 : 1));
}

export function lookupIn(rows: readonly ComparisonRow[]): PairLookup {
  const pairs = new Map(rows.map((row) => [`${row.a} ${row.b}`, row]));
  return (a, b) => pairs.get(a < b ? `${a} ${b}` : `${b} ${a}`) ?? null;
}

const entry = ({ row, ...figures }: Scored, ranked: Ranked, selected: boolean): LeaderboardEntry => ({
  ...ranked,
  model: row.model,
  model_name: row.body.model_name,
  evaluation: row.id,
  ...figures,
  selected_on_this_split: selected,
});

/** The runs of those models that are checkpoints, by id. */
export async function runsOf(ctx: Context, models: readonly string[]): Promise<Map<string, Run>> {
  const ids = models.flatMap((model) => checkpointPlace(model)?.run ?? []);
  return new Map((await findRuns(ctx.db, ctx.project.id, ids)).map((run) => [run.id, run]));
}

export async function leaderboard(ctx: Context, query: BoardQuery): Promise<Leaderboard> {
  const { metric, template, pattern } = query;
  const named = await findDataset(ctx, query.dataset, "dataset");
  const { dataset, split, rows } = splitRef(named, query.split, "split");
  const board = { dataset, split, template, limit: effectiveLimit(query.limit, rows), pattern };
  const key = boardKey(board, GRADER_VERSIONS);
  const entries = scored(await newestOfBoard(ctx.db, ctx.project.id, key, BOARD_MODELS), metric);
  const ids = entries.map(({ row }) => row.id);
  const runs = await runsOf(
    ctx,
    entries.map(({ row }) => row.model),
  );
  const lookup = lookupIn(await comparisonsAmong(ctx.db, metric, ids));
  const ranked = rankBoard(
    entries.map(({ row, mean }) => ({ id: row.id, mean })),
    lookup,
  );
  return {
    object: "leaderboard",
    ...board,
    metric,
    data: entries.flatMap((scores, i) => {
      const place = ranked[i];
      const selected = wasChosenOn(runs, scores.row.model, { dataset: named, split });
      return place === undefined ? [] : [entry(scores, place, selected)];
    }),
    detectable_difference: boardDetectableDifference(ids, lookup),
    note: NOTE,
  };
}
