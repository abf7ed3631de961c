// What the two sides of a pair and its outcomes are called: under closeness neither side is the right one.
import type { PreferenceEvaluation } from "../answers/preferences.ts";

interface Words {
  chosen: string;
  rejected: string;
  /** Of one record. */
  outcomes: Readonly<Record<"right" | "wrong" | "tie", string>>;
  /** Of a list of them. */
  lists: Readonly<Record<string, string>>;
}

const WORDS: Record<PreferenceEvaluation["kind"], Words> = {
  accuracy: {
    chosen: "Chosen",
    rejected: "Rejected",
    outcomes: { right: "right", wrong: "wrong", tie: "tie" },
    lists: { right: "Right", wrong: "Wrong", tie: "Ties" },
  },
  closeness: {
    chosen: "Teacher's output",
    rejected: "Student's output",
    outcomes: { right: "teacher's preferred", wrong: "student's preferred", tie: "tie" },
    lists: { right: "Teacher's preferred", wrong: "Student's preferred", tie: "Ties" },
  },
};

export const wordsOf = ({ kind }: Pick<PreferenceEvaluation, "kind">): Words => WORDS[kind];

export const listTitle = (of: Pick<PreferenceEvaluation, "kind">, outcome: string | null): string =>
  outcome === null ? "All pairs" : (wordsOf(of).lists[outcome] ?? outcome);
