// The table of a board: one band a group, one row an entry.
import type { Entry } from "../answers/evaluations.ts";
import type { Strength } from "../answers/preferences.ts";
import { count, pValue, points, range, strengthText } from "../format.ts";
import { Axis, IntervalPlot } from "../interval.tsx";
import { Unknown } from "../states.tsx";

type Figures = Pick<
  Entry,
  "rank" | "group" | "evaluation" | "mean" | "low" | "high" | "n" | "p_vs_best" | "p_vs_previous"
>;

export interface Ranked extends Figures {
  name: string;
  /** What is said below the name. */
  details: string | null;
  selected: boolean;
  /** Where its records are. */
  place: string;
  /** Null but on a board of closeness. */
  strength: Strength | null;
}

/** What a board's entries are, and what its columns are called. */
export interface Labels {
  one: string;
  many: string;
  name: string;
  mean: string;
  items: string;
  /** The value that says nothing, which the plots mark; null where none does. */
  neutral: number | null;
  hasStrength: boolean;
}

interface Shown {
  entry: Ranked;
  labels: Labels;
  first: boolean;
}

const TOO_FEW = "not known: too few in common, or not compared yet";
const UNBOUNDED = "not bounded: it won or lost every comparison";

const P = ({ p, none }: { p: number | null; none: string }) => (p === null ? <Unknown why={none} /> : <>{pValue(p)}</>);

const StrengthOf = ({ strength }: { strength: Strength | null }) => {
  const said = strength === null ? null : strengthText(strength);
  return said === null ? <Unknown why={UNBOUNDED} /> : <>{said}</>;
};

const Row = ({ entry, labels, first }: Shown) => (
  <tr role="row" class="entry">
    <td role="cell" class="rank">
      {entry.rank}
    </td>
    <th role="rowheader" scope="row" class="model">
      <a href={entry.place}>{entry.name}</a>
      {entry.selected && <span class="mark">chosen on this split</span>}
      {entry.details !== null && <span class="id">{entry.details}</span>}
    </th>
    <td role="cell" class="mean-cell">
      <strong>{points(entry.mean)}</strong> <span class="quiet">{range(entry)}</span>
    </td>
    <td role="cell" class="plot">
      <IntervalPlot figures={entry} neutral={labels.neutral} />
    </td>
    {labels.hasStrength && (
      <td role="cell" class="figure" data-label="Strength">
        <StrengthOf strength={entry.strength} />
      </td>
    )}
    <td role="cell" class="figure" data-label={labels.items}>
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

const Column = ({ title }: { title: string }) => (
  <th role="columnheader" scope="col" class="figure">
    {title}
  </th>
);

const Head = ({ labels }: { labels: Labels }) => (
  <thead role="rowgroup">
    <tr role="row">
      <th role="columnheader" scope="col">
        Rank
      </th>
      <th role="columnheader" scope="col">
        {labels.name}
      </th>
      <th role="columnheader" scope="col">
        {labels.mean}
      </th>
      <th role="columnheader" scope="col" class="plot">
        95% interval
        <Axis />
      </th>
      {labels.hasStrength && <Column title="Strength" />}
      <Column title={labels.items} />
      <Column title="p vs best" />
      <Column title="p vs previous" />
    </tr>
  </thead>
);

/** What a band says of the entries in it. */
const groupLabel = (group: number, entries: number, { one, many }: Labels): string =>
  entries === 1
    ? `Group ${group}: one ${one} on its own`
    : `Group ${group}: ${entries} ${many} that cannot be told apart`;

/** Entries come best first, so a group is a run of them. */
const groupsOf = (entries: readonly Ranked[]): number[] => [...new Set(entries.map(({ group }) => group))];

function matching(entries: readonly Ranked[], search: string): Ranked[] {
  const wanted = search.toLowerCase();
  return entries.filter(({ name, details }) =>
    [name, details ?? ""].some((text) => text.toLowerCase().includes(wanted)),
  );
}

interface RankingProps {
  entries: readonly Ranked[];
  labels: Labels;
  /** What ranks, and the board. */
  title: string;
  /** A part of a model's name. */
  search: string;
}

function Bands({ entries, labels, shown }: Pick<RankingProps, "entries" | "labels"> & { shown: readonly Ranked[] }) {
  return groupsOf(shown).map((group) => (
    <tbody role="rowgroup" key={group}>
      <tr role="row" class="band">
        <th role="rowheader" scope="rowgroup" colSpan={labels.hasStrength ? 8 : 7}>
          {groupLabel(group, entries.filter((entry) => entry.group === group).length, labels)}
        </th>
      </tr>
      {shown
        .filter((entry) => entry.group === group)
        .map((entry) => (
          <Row key={entry.evaluation} entry={entry} labels={labels} first={entry === entries[0]} />
        ))}
    </tbody>
  ));
}

export function Ranking({ entries, labels, title, search }: RankingProps) {
  const shown = matching(entries, search);
  const all = count(entries.length, labels.one, labels.many);
  return (
    <>
      <p class="hidden" role="status">
        {search === "" ? "" : `${shown.length} of ${all}`}
      </p>
      <div class="scroll">
        <table role="table" class={labels.hasStrength ? "ranking strong" : "ranking"}>
          <caption>
            {shown.length < entries.length && `${shown.length} of `}
            {all} by {title}
          </caption>
          <Head labels={labels} />
          <Bands entries={entries} labels={labels} shown={shown} />
        </table>
      </div>
    </>
  );
}
