// A board in an address, and the board that an address means.
import type { Board, MetricBoard, PreferenceBoard } from "../answers/boards.ts";
import type { PreferenceEvaluation } from "../answers/preferences.ts";
import { address } from "../api.ts";
import type { Query } from "../api.ts";
import { modelName, rowsName, templateName } from "../format.ts";
import { DEFAULT_METRIC } from "../metrics.ts";
import { boardPlace } from "../route.ts";
import type { Route } from "../route.ts";

/** As many as one answer holds. */
export const BOARDS = address("/v1/boards", { limit: 100 });

type Terms = Pick<MetricBoard, "split" | "template" | "limit" | "pattern">;
type PreferenceTerms = PreferenceBoard | PreferenceEvaluation;

/** What evaluations are ranked under, as `GET /v1/leaderboard` takes it. */
export const termsOf = ({ split, template, limit, pattern }: Terms): Query => ({
  split,
  template: template ?? "given",
  limit,
  pattern,
});

/** What preference evaluations are ranked under, as `GET /v1/preference-leaderboard` takes it. */
export const preferenceTermsOf = (of: PreferenceTerms): Query => ({
  kind: of.kind,
  split: of.split,
  template: of.template,
  limit: of.limit,
  length_normalize: of.length_normalize ? "true" : null,
  ...(of.kind === "closeness" ? { teacher: of.teacher, beta: of.beta, generation: JSON.stringify(of.generation) } : {}),
});

export const placeOf = (board: Terms & { dataset: string }, metric: string): string =>
  boardPlace(board.dataset, { ...termsOf(board), metric });

export const preferencePlaceOf = (of: PreferenceTerms): string => boardPlace(of.dataset, preferenceTermsOf(of));

/** The place of a board of any kind; `metric` is what one of metrics is ranked by. */
export const placeOfBoard = (board: Board, metric: string): string =>
  board.kind === "metric" ? placeOf(board, metric) : preferencePlaceOf(board);

/** What sets a board apart from others of its data. */
function termNames(board: Board): string[] {
  if (board.kind === "metric") return board.pattern === null ? [] : [`pattern ${board.pattern}`];
  const normalized = board.length_normalize ? ["per token"] : [];
  if (board.kind === "accuracy") return normalized;
  const { temperature, max_new_tokens, seeds } = board.generation;
  const sampled = temperature === 0 ? "greedy" : `temperature ${temperature}, seeds ${seeds.join(" ")}`;
  return [...normalized, `beta ${board.beta}`, sampled, `at most ${max_new_tokens} tokens`];
}

export const boardName = (board: Board): string =>
  [board.dataset_name, board.split, templateName(board.template), rowsName(board.limit), ...termNames(board)].join(
    ", ",
  );

export const teacherName = (board: { teacher: string; teacher_name: string | null }): string =>
  modelName({ model: board.teacher, model_name: board.teacher_name });

/** What a board of preferences ranks by; null for one of metrics, which is ranked by any of them. */
export function kindName(board: Board): string | null {
  if (board.kind === "metric") return null;
  return board.kind === "accuracy" ? "Preference accuracy" : `Closeness to ${teacherName(board)}`;
}

const fullTermsOf = (board: Board): Query =>
  board.kind === "metric" ? { kind: board.kind, ...termsOf(board) } : preferenceTermsOf(board);

const DEFAULTS: Query = { kind: "metric", split: "test", template: "chat" };

/** The board that a route names; the one with the newest evaluation where it names none. */
export function boardAt(route: Route, boards: readonly Board[]): Board | null {
  if (route.id === null) {
    return boards.reduce<Board | null>(
      (newest, board) => (newest === null || board.newest_at > newest.newest_at ? board : newest),
      null,
    );
  }
  const isNamed = (board: Board) =>
    (route.id === board.dataset || route.id === board.dataset_name) &&
    Object.entries(fullTermsOf(board)).every(
      ([term, value]) => String(value ?? "") === (route.query.get(term) ?? String(DEFAULTS[term] ?? "")),
    );
  return boards.find(isNamed) ?? null;
}

export const metricAt = (query: URLSearchParams): string => query.get("metric") ?? DEFAULT_METRIC;
