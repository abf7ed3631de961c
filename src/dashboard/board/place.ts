// A board in an address, and the board that an address means.
import type { Board } from "../answers.ts";
import { address } from "../api.ts";
import type { Query } from "../api.ts";
import { rowsName, templateName } from "../format.ts";
import { DEFAULT_METRIC } from "../metrics.ts";
import { boardPlace } from "../route.ts";
import type { Route } from "../route.ts";

/** As many as one answer holds. */
export const BOARDS = address("/v1/boards", { limit: 100 });

interface Terms extends Pick<Board, "split" | "template" | "limit"> {
  pattern: string | null;
}

/** What evaluations are ranked under, as `GET /v1/leaderboard` takes it. */
export const termsOf = ({ split, template, limit, pattern }: Terms): Query => ({
  split,
  template: template ?? "given",
  limit,
  pattern,
});

export const placeOf = (board: Terms & { dataset: string }, metric: string): string =>
  boardPlace(board.dataset, { ...termsOf(board), metric });

export const boardName = ({ dataset_name, split, template, limit, pattern }: Board): string =>
  [
    dataset_name,
    split,
    templateName(template),
    rowsName(limit),
    ...(pattern === null ? [] : [`pattern ${pattern}`]),
  ].join(", ");

const DEFAULTS: Query = { split: "test", template: "chat", limit: null, pattern: null };

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
    Object.entries(termsOf(board)).every(
      ([term, value]) => String(value ?? "") === (route.query.get(term) ?? String(DEFAULTS[term] ?? "")),
    );
  return boards.find(isNamed) ?? null;
}

export const metricAt = (query: URLSearchParams): string => query.get("metric") ?? DEFAULT_METRIC;
