// The graders: a response against its references, x100.
import { exactMatch } from "./exact-match.ts";
import { rougeL } from "./rouge-l.ts";

/** Both graders' values of one response, 0 to 100. */
export interface Grades {
  exact_match: number;
  rouge_l: number;
}

export const grade = (response: string, references: readonly string[]): Grades => ({
  exact_match: exactMatch(response, references) ? 100 : 0,
  rouge_l: 100 * rougeL(response, references),
});
