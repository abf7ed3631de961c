// What of an evaluation is shown, as its address says it.
import type { Query } from "../api.ts";
import { metricAt } from "../board/place.ts";
import { evaluationPlace, go } from "../route.ts";

export const SHOWN = ["both", "all", "right", "wrong"] as const;

export interface Filter {
  metric: string;
  /** `both`: what is right beside what is wrong. */
  shown: string;
  search: string;
  /** The evaluation that the responses are compared with. */
  changedFrom: string | null;
}

export const filterAt = (query: URLSearchParams): Filter => ({
  metric: metricAt(query),
  shown: SHOWN.find((shown) => shown === query.get("show")) ?? "both",
  search: query.get("q") ?? "",
  changedFrom: query.get("changed_from"),
});

const queryOf = ({ metric, shown, search, changedFrom }: Filter): Query => ({
  metric,
  show: shown === "both" ? null : shown,
  q: search,
  changed_from: changedFrom,
});

export const goTo = (evaluation: string, filter: Filter, how: "step" | "replace"): void =>
  go(evaluationPlace(evaluation, queryOf(filter)), how);
