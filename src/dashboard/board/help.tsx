// How to read a board, for somebody who is no statistician.
import { points } from "../format.ts";

/** What is said of a board's figures beside what is said of all: a term, and what it means. */
export type Terms = readonly (readonly [term: string, meaning: string])[];

const interval = (what: string): string =>
  `The dot is the ${what}, from 0 to 100. With others of the same kind it would come out differently: the bar is where ` +
  "the true figure plausibly lies.";

const GROUPS = [
  "Groups",
  "Within a group the order may be chance. The first of the next group is worse by more than chance.",
] as const;

const TESTS = [
  "p vs best, p vs previous",
  "How often chance alone would make a difference at least this large, item by item. Below 0.05 counts as real.",
] as const;

export const METRIC_TERMS: Terms = [["Mean and interval", interval("score on these questions")], GROUPS, TESTS];

export const ACCURACY_TERMS: Terms = [
  ["Accuracy and interval", interval("share of these pairs that are right, a tie counted one half")],
  ["50", "As good as a coin. A copy of the teacher ties on every pair, and is at 50 too."],
  GROUPS,
  TESTS,
];

export const CLOSENESS_TERMS: Terms = [
  ["Preferred, and interval", interval("mean probability that the student's output is preferred")],
  [
    "50",
    "Each model finds its own output likelier, so a student is at 50 or above, and falls to 50 as it becomes its teacher.",
  ],
  ["Strength", "The same on the scale of Bradley-Terry: log-odds, with the teacher at 0."],
  GROUPS,
  TESTS,
];

const detectable = (difference: number | null): string =>
  difference === null
    ? "No two of these have been compared yet, so nothing can be said about how small a difference would be seen."
    : `On this many items a true difference smaller than about ${points(difference)} points would often go unseen.`;

const Term = ({ term, meaning }: { term: string; meaning: string }) => (
  <>
    <dt>{term}</dt>
    <dd>{meaning}</dd>
  </>
);

const CHOSEN = "The run picked this checkpoint because it did well on this very split: expect a little less elsewhere.";

interface HelpProps {
  leaderboard: {
    data: readonly { selected_on_this_split: boolean }[];
    detectable_difference: number | null;
    note: string;
  };
  terms: Terms;
}

export const Help = ({ leaderboard, terms }: HelpProps) => (
  <section class="help">
    <h2>How to read this</h2>
    <p>
      <strong>{detectable(leaderboard.detectable_difference)}</strong>
    </p>
    <dl>
      {terms.map(([term, meaning]) => (
        <Term key={term} term={term} meaning={meaning} />
      ))}
      {leaderboard.data.some((entry) => entry.selected_on_this_split) && (
        <Term term="Chosen on this split" meaning={CHOSEN} />
      )}
    </dl>
    <details>
      <summary>The exact terms</summary>
      <p>{leaderboard.note}</p>
    </details>
  </section>
);
