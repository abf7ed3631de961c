// What of a preference evaluation is shown, as its address says it.
import type { Query } from "../api.ts";
import { go, preferencePlace } from "../route.ts";

const OUTCOMES = ["right", "wrong", "tie"] as const;

export interface Filter {
  /** Null: all, in the order of the split. */
  outcome: string | null;
  search: string;
}

export const filterAt = (query: URLSearchParams): Filter => ({
  outcome: OUTCOMES.find((outcome) => outcome === query.get("outcome")) ?? null,
  search: query.get("q") ?? "",
});

/** As the API takes it, and the address too. */
export const queryOf = ({ outcome, search }: Filter): Query => ({ outcome, q: search });

export const goTo = (evaluation: string, filter: Filter, how: "step" | "replace"): void =>
  go(preferencePlace(evaluation, queryOf(filter)), how);
