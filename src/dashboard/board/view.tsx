// The leaderboard of one board, and the choice of boards and metrics.
import { isBoards } from "../answers/boards.ts";
import type { Board, MetricBoard } from "../answers/boards.ts";
import { useState } from "preact/hooks";
import { Choice } from "../choice.tsx";
import { count } from "../format.ts";
import { metricLabel, metricsOf } from "../metrics.ts";
import { go } from "../route.ts";
import type { Route } from "../route.ts";
import { Search } from "../search.tsx";
import { Failed, Loading } from "../states.tsx";
import { useAnswer } from "../use-answer.ts";
import { Empty } from "./empty.tsx";
import { MetricRanking } from "./metric.tsx";
import { BOARDS, boardAt, boardName, kindName, metricAt, placeOf, placeOfBoard } from "./place.ts";
import { PreferenceRanking } from "./preference.tsx";

/** Fewer models are found at a glance. */
const SEARCH_FROM = 6;

const optionName = (board: Board): string => {
  const kind = kindName(board);
  return `${kind === null ? "" : `${kind}: `}${boardName(board)} (${count(board.models, "model")})`;
};

/** Of an option, the value is the place to go to. */
function Boards({ boards, board, metric }: { boards: readonly Board[]; board: Board | null; metric: string }) {
  const options = boards.map((one) => ({ value: placeOfBoard(one, metric), label: optionName(one) }));
  const none = { value: "", label: "choose a board" };
  return (
    <Choice
      label="Board"
      value={board === null ? "" : placeOfBoard(board, metric)}
      options={board === null ? [none, ...options] : options}
      choose={(place) => go(place, "step")}
    />
  );
}

const Metric = ({ board, metric }: { board: MetricBoard; metric: string }) => (
  <Choice
    label="Ranked by"
    value={metric}
    options={metricsOf(board, metric).map((value) => ({ value, label: metricLabel(value) }))}
    choose={(chosen) => go(placeOf(board, chosen), "step")}
  />
);

function Ranked({ board, metric, search }: { board: Board | null; metric: string; search: string }) {
  if (board === null) return <p class="notice">There is no such board (any more): choose another.</p>;
  const key = placeOfBoard(board, "");
  return board.kind === "metric" ? (
    <MetricRanking key={key} board={board} metric={metric} search={search} />
  ) : (
    <PreferenceRanking key={key} board={board} search={search} />
  );
}

function Chosen({ route, boards }: { route: Route; boards: readonly Board[] }) {
  const board = boardAt(route, boards);
  const metric = metricAt(route.query);
  const [search, setSearch] = useState("");
  const searchable = (board?.models ?? 0) >= SEARCH_FROM;
  return (
    <>
      <form class="controls" onSubmit={(event) => event.preventDefault()}>
        <Boards boards={boards} board={board} metric={metric} />
        {board?.kind === "metric" && <Metric board={board} metric={metric} />}
        {searchable && <Search label="Find a model" value={search} search={setSearch} />}
      </form>
      <Ranked board={board} metric={metric} search={searchable ? search : ""} />
    </>
  );
}

function Body({ route }: { route: Route }) {
  const { value, failure, again } = useAnswer(BOARDS, isBoards);
  if (failure !== null) return <Failed failure={failure} again={again} />;
  if (value === null) return <Loading what="the boards" />;
  return value.data.length === 0 ? <Empty /> : <Chosen route={route} boards={value.data} />;
}

export const BoardView = ({ route }: { route: Route }) => (
  <>
    <h1>Leaderboard</h1>
    <Body route={route} />
  </>
);
