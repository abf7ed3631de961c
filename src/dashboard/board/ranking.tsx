// The table of a board: one band a group, one row a model.
import type { Board, Entry, Leaderboard } from "../answers.ts";
import { count, modelName, pValue, points, range } from "../format.ts";
import { Axis, IntervalPlot } from "../interval.tsx";
import { metricLabel } from "../metrics.ts";
import { evaluationPlace } from "../route.ts";
import { Unknown } from "../states.tsx";
import { boardName } from "./place.ts";

const COLUMNS = 7;

interface Shown {
  entry: Entry;
  place: string;
  first: boolean;
}

const TOO_FEW = "not known: too few questions that both answered";

const P = ({ p, none }: { p: number | null; none: string }) => (p === null ? <Unknown why={none} /> : <>{pValue(p)}</>);

const Row = ({ entry, place, first }: Shown) => (
  <tr role="row" class="entry">
    <td role="cell" class="rank">
      {entry.rank}
    </td>
    <th role="rowheader" scope="row" class="model">
      <a href={place}>{modelName(entry)}</a>
      {entry.model_name !== null && entry.model_name !== entry.model && <span class="id">{entry.model}</span>}
      {entry.selected_on_this_split && <span class="mark">chosen on this split</span>}
    </th>
    <td role="cell" class="mean-cell">
      <strong>{points(entry.mean)}</strong> <span class="quiet">{range(entry)}</span>
    </td>
    <td role="cell" class="plot">
      <IntervalPlot figures={entry} />
    </td>
    <td role="cell" class="figure" data-label="Questions">
      {entry.n.toLocaleString("en")}
    </td>
    <td role="cell" class="figure" data-label="p vs best">
      <P p={entry.p_vs_best} none={first ? "this is the best" : TOO_FEW} />
    </td>
    <td role="cell" class="figure" data-label="p vs previous">
      <P p={entry.p_vs_previous} none={first ? "there is none above it" : TOO_FEW} />
    </td>
  </tr>
);

const Head = () => (
  <thead role="rowgroup">
    <tr role="row">
      <th role="columnheader" scope="col">
        Rank
      </th>
      <th role="columnheader" scope="col">
        Model
      </th>
      <th role="columnheader" scope="col">
        Mean
      </th>
      <th role="columnheader" scope="col" class="plot">
        95% interval
        <Axis />
      </th>
      <th role="columnheader" scope="col" class="figure">
        Questions
      </th>
      <th role="columnheader" scope="col" class="figure">
        p vs best
      </th>
      <th role="columnheader" scope="col" class="figure">
        p vs previous
      </th>
    </tr>
  </thead>
);

/** What a band says of the models in it. */
const groupLabel = (group: number, models: number): string =>
  models === 1 ? `Group ${group}: one model on its own` : `Group ${group}: ${models} models that cannot be told apart`;

/** Entries come best first, so a group is a run of them. */
const groupsOf = (entries: readonly Entry[]): number[] => [...new Set(entries.map(({ group }) => group))];

function matching(leaderboard: Leaderboard, search: string): Entry[] {
  const wanted = search.toLowerCase();
  return leaderboard.data.filter((entry) =>
    [modelName(entry), entry.model].some((name) => name.toLowerCase().includes(wanted)),
  );
}

function Bands({ leaderboard, shown }: { leaderboard: Leaderboard; shown: readonly Entry[] }) {
  const { data, metric } = leaderboard;
  return groupsOf(shown).map((group) => (
    <tbody role="rowgroup" key={group}>
      <tr role="row" class="band">
        <th role="rowheader" scope="rowgroup" colSpan={COLUMNS}>
          {groupLabel(group, data.filter((entry) => entry.group === group).length)}
        </th>
      </tr>
      {shown
        .filter((entry) => entry.group === group)
        .map((entry) => (
          <Row
            key={entry.evaluation}
            entry={entry}
            place={evaluationPlace(entry.evaluation, { metric })}
            first={entry === data[0]}
          />
        ))}
    </tbody>
  ));
}

interface RankingProps {
  leaderboard: Leaderboard;
  board: Board;
  /** A part of a model's name. */
  search: string;
}

export function Ranking({ leaderboard, board, search }: RankingProps) {
  const shown = matching(leaderboard, search);
  const all = count(leaderboard.data.length, "model");
  return (
    <>
      <p class="hidden" role="status">
        {search === "" ? "" : `${shown.length} of ${all}`}
      </p>
      <div class="scroll">
        <table role="table" class="ranking">
          <caption>
            {shown.length < leaderboard.data.length && `${shown.length} of `}
            {all} by {metricLabel(leaderboard.metric)}: {boardName(board)}
          </caption>
          <Head />
          <Bands leaderboard={leaderboard} shown={shown} />
        </table>
      </div>
    </>
  );
}
