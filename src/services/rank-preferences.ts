// The preference leaderboards: read evaluations and comparisons, and compute no statistics of items.
import { BOARD_MODELS } from "../config.ts";
import { ApiError } from "../errors.ts";
import { boardDetectableDifference, rankBoard } from "../evaluation/board.ts";
import { strengths } from "../scoring/strengths.ts";
import { comparisonsAmong } from "../store/evaluations.ts";
import { newestPreferences, preferenceBoardKey } from "../store/preference-evaluations.ts";
import type { PreferenceBoard, PreferenceRow } from "../store/preference-evaluations.ts";
import type { Template } from "../wire/common.ts";
import type { MetricInterval } from "../wire/evaluations.ts";
import { Generation } from "../wire/generation.ts";
import type {
  PreferenceKind,
  PreferenceLeaderboard,
  PreferenceLeaderboardEntry,
} from "../wire/preference-evaluations.ts";
import { DEFAULT_BETA } from "../wire/scores.ts";
import { effectiveLimit } from "./batches.ts";
import type { Context } from "./context.ts";
import { findDataset, splitRef } from "./datasets.ts";
import { resolveModel } from "./models.ts";
import { boardNote } from "./preference-notes.ts";
import { problem } from "./problems.ts";
import { lookupIn, runsOf } from "./rank.ts";
import { wasChosenOn } from "./run-evaluations.ts";

export interface PreferenceQuery {
  kind: PreferenceKind;
  dataset: string;
  split: string;
  template: Template;
  limit: number | null;
  length_normalize: boolean;
  /** These three say which board of closeness; `generation` is JSON. */
  teacher?: string | undefined;
  beta?: number | undefined;
  generation?: string | undefined;
}

function parseGeneration(json: string): Generation {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    const message = "generation: it is not JSON; give the generation that the evaluations were asked with.";
    throw new ApiError("invalid_request", message, { param: "generation", cause });
  }
  const parsed = Generation.safeParse(value);
  if (!parsed.success) throw problem(parsed.error, "query");
  return parsed.data;
}

type OfKind = Pick<PreferenceBoard, "teacher" | "beta" | "generation">;

/** What names a board of closeness beside its data; a board of accuracy is named by its data alone. */
async function ofKind(ctx: Context, query: PreferenceQuery): Promise<OfKind> {
  const { kind, teacher, beta = DEFAULT_BETA, generation = "{}" } = query;
  if (kind === "accuracy") {
    const param = (["teacher", "beta", "generation"] as const).find((name) => query[name] !== undefined);
    if (param === undefined) return { teacher: null, beta: null, generation: null };
    const message = `${param}: a board of accuracy has entries of every teacher and beta; leave it out, or ask for closeness.`;
    throw new ApiError("invalid_request", message, { param });
  }
  if (teacher === undefined) {
    const message = "teacher: closeness is to one teacher; name it.";
    throw new ApiError("invalid_request", message, { param: "teacher" });
  }
  const { id } = await resolveModel(ctx, teacher, "teacher");
  return { teacher: id, beta, generation: parseGeneration(generation) };
}

interface Judged {
  row: PreferenceRow;
  figure: MetricInterval;
  /** What ranks: the greatest first. */
  score: number;
}

/** Best first; equals by age, so that the order is the same every time. */
function judged(rows: readonly PreferenceRow[], kind: PreferenceKind): Judged[] {
  return rows
    .flatMap((row): Judged[] => {
      const figure = (kind === "accuracy" ? row.metrics?.accuracy : row.metrics?.student_preferred) ?? null;
      if (figure === null) return [];
      return [{ row, figure, score: kind === "accuracy" ? figure.mean : -Math.abs(figure.mean - 50) }];
    })
    .sort((a, b) => b.score - a.score || a.row.createdAt - b.row.createdAt || (a.row.id < b.row.id ? -1 : 1));
}

type Entry = Omit<PreferenceLeaderboardEntry, "rank" | "group" | "p_vs_best" | "p_vs_previous">;

function entryOf({ row, figure }: Judged, strength: Entry["strength"], selected: boolean): Entry {
  const { student, student_name, teacher, teacher_name, beta } = row.body;
  const models = { student, student_name, teacher, teacher_name, beta };
  return { ...models, evaluation: row.id, ...figure, strength, selected_on_this_split: selected };
}

export async function preferenceLeaderboard(ctx: Context, query: PreferenceQuery): Promise<PreferenceLeaderboard> {
  const { kind, template, length_normalize } = query;
  const named = await findDataset(ctx, query.dataset, "dataset");
  const { dataset, split, rows } = splitRef(named, query.split, "split");
  const limit = effectiveLimit(query.limit, rows);
  const board = { kind, dataset, split, template, limit, length_normalize, ...(await ofKind(ctx, query)) };
  const found = await newestPreferences(ctx.db, ctx.project.id, preferenceBoardKey(board), BOARD_MODELS);
  const entries = judged(found, kind);
  const ids = entries.map(({ row }) => row.id);
  const runs = await runsOf(
    ctx,
    entries.map(({ row }) => row.student),
  );
  const lookup = lookupIn(await comparisonsAmong(ctx.db, kind, ids));
  const ranked = rankBoard(
    entries.map(({ row, score }) => ({ id: row.id, mean: score })),
    lookup,
  );
  const fitted = kind === "closeness" ? strengths(entries.map(({ figure }) => figure)) : [];
  return {
    object: "preference_leaderboard",
    ...board,
    data: ranked.flatMap((place, i) => {
      const entry = entries[i];
      if (entry === undefined) return [];
      const selected = wasChosenOn(runs, entry.row.student, { dataset: named, split });
      return [{ ...place, ...entryOf(entry, fitted[i] ?? null, selected) }];
    }),
    detectable_difference: boardDetectableDifference(ids, lookup),
    note: boardNote(kind, length_normalize),
  };
}
