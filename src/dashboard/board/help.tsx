// How to read a board, for somebody who is no statistician.
import type { Leaderboard } from "../answers.ts";
import { points } from "../format.ts";

const detectable = (difference: number | null): string =>
  difference === null
    ? "No two models here have been compared yet, so nothing can be said about how small a difference would be seen."
    : `On this many questions a true difference smaller than about ${points(difference)} points would often go unseen.`;

const Chosen = () => (
  <>
    <dt>Chosen on this split</dt>
    <dd>The run picked this checkpoint because it did well on these very questions: expect a little less elsewhere.</dd>
  </>
);

export const Help = ({ leaderboard }: { leaderboard: Leaderboard }) => (
  <section class="help">
    <h2>How to read this</h2>
    <p>
      <strong>{detectable(leaderboard.detectable_difference)}</strong>
    </p>
    <dl>
      <dt>Mean and interval</dt>
      <dd>
        The dot is the score on these questions, from 0 to 100. With other questions of the same kind it would come out
        differently: the bar is where the true score plausibly lies.
      </dd>
      <dt>Groups</dt>
      <dd>Within a group the order may be chance. The first model of the next group is worse by more than chance.</dd>
      <dt>p vs best, p vs previous</dt>
      <dd>
        How often chance alone would make a difference at least this large, question by question. Below 0.05 counts as
        real.
      </dd>
      {leaderboard.data.some((entry) => entry.selected_on_this_split) && <Chosen />}
    </dl>
    <details>
      <summary>The exact terms</summary>
      <p>{leaderboard.note}</p>
    </details>
  </section>
);
