// What is said beside every preference figure: what it is, and what it is not.
import type { PreferenceKind } from "../wire/preference-evaluations.ts";
import { LENGTH_NOTE } from "./notes.ts";

const NOTES: Record<PreferenceKind, string> = {
  accuracy:
    "accuracy: the share of the data set's pairs in which the implicit reward between student and teacher puts chosen " +
    "above rejected, a tie counted one half. It judges that reward by the data's labels; it is not the quality of what " +
    "the student writes. A copy of the teacher ties on every pair: 50.",
  closeness:
    "student_preferred: how probably the student's own output is preferred to its teacher's, by the implicit reward " +
    "between the two. It measures closeness to that teacher, not quality: each model finds its own output likelier, so " +
    "it is 50 or more in expectation and falls to 50, strength 0, as the student becomes the teacher.",
};

const joined = (...notes: (string | null)[]): string => notes.filter((note) => note !== null).join(" ");

export const preferenceNote = (kind: PreferenceKind, lengthNormalize: boolean): string =>
  joined(NOTES[kind], lengthNormalize ? LENGTH_NOTE : null);

const ORDER: Record<PreferenceKind, string> = {
  accuracy: "Ranked by accuracy, across teachers and betas, on which no sign depends.",
  closeness:
    "Ranked by closeness to 50, on one teacher, template, beta and generation, since rewards of others are not " +
    "comparable. strength: Bradley-Terry by maximum likelihood, the teacher a player at 0; null: all was won, or all lost.",
};

export const boardNote = (kind: PreferenceKind, lengthNormalize: boolean): string =>
  joined(
    preferenceNote(kind, lengthNormalize),
    ORDER[kind],
    "Newest evaluation of each student and teacher. Intervals are 95%. p_vs_best and p_vs_previous are paired tests over " +
      "the same items, adjusted by Holm over all tests shown; null: too few common items, or not compared yet. A group is " +
      "a leader and those below it that are not significantly worse (p >= 0.05): within a group the order may be chance.",
  );
