// The leaderboard of one board, and the choice of boards and metrics.
import { isBoards, isLeaderboard } from "../answers.ts";
import type { Board } from "../answers.ts";
import { useState } from "preact/hooks";
import { address } from "../api.ts";
import { Choice } from "../choice.tsx";
import { count } from "../format.ts";
import { metricAbout, metricLabel, metricsOf } from "../metrics.ts";
import { go } from "../route.ts";
import type { Route } from "../route.ts";
import { Search } from "../search.tsx";
import { Failed, Loading } from "../states.tsx";
import { useAnswer } from "../use-answer.ts";
import { Empty } from "./empty.tsx";
import { Help } from "./help.tsx";
import { BOARDS, boardAt, boardName, metricAt, placeOf, termsOf } from "./place.ts";
import { Ranking } from "./ranking.tsx";

/** Fewer models are found at a glance. */
const SEARCH_FROM = 6;

interface Shown {
  board: Board;
  metric: string;
}

function Ranked({ board, metric, search }: Shown & { search: string }) {
  const url = address("/v1/leaderboard", { dataset: board.dataset, ...termsOf(board), metric });
  const { value, failure, loading, again } = useAnswer(url, isLeaderboard);
  if (failure !== null) return <Failed failure={failure} again={again} />;
  if (value === null) return <Loading what="the leaderboard" />;
  if (value.data.length === 0) {
    return (
      <p class="notice">No evaluation on this board has a figure for {metricLabel(metric)}: choose another metric.</p>
    );
  }
  return (
    <div aria-busy={loading}>
      <Ranking leaderboard={value} board={board} search={search} />
      <Help leaderboard={value} />
    </div>
  );
}

/** Of an option, the value is the place to go to. */
function Boards({ boards, board, metric }: { boards: readonly Board[]; board: Board | null; metric: string }) {
  const options = boards.map((one) => ({
    value: placeOf(one, metric),
    label: `${boardName(one)} (${count(one.models, "model")})`,
  }));
  const none = { value: "", label: "choose a board" };
  return (
    <Choice
      label="Board"
      value={board === null ? "" : placeOf(board, metric)}
      options={board === null ? [none, ...options] : options}
      choose={(place) => go(place, "step")}
    />
  );
}

const Metric = ({ board, metric }: Shown) => (
  <Choice
    label="Ranked by"
    value={metric}
    options={metricsOf(board, metric).map((value) => ({ value, label: metricLabel(value) }))}
    choose={(chosen) => go(placeOf(board, chosen), "step")}
  />
);

function Chosen({ route, boards }: { route: Route; boards: readonly Board[] }) {
  const board = boardAt(route, boards);
  const metric = metricAt(route.query);
  const [search, setSearch] = useState("");
  const searchable = (board?.models ?? 0) >= SEARCH_FROM;
  return (
    <>
      <form class="controls" onSubmit={(event) => event.preventDefault()}>
        <Boards boards={boards} board={board} metric={metric} />
        {board !== null && <Metric board={board} metric={metric} />}
        {searchable && <Search label="Find a model" value={search} search={setSearch} />}
      </form>
      {board === null ? (
        <p class="notice">There is no such board (any more): choose another.</p>
      ) : (
        <>
          <p class="quiet">
            {metricLabel(metric)}: {metricAbout(metric)}.
          </p>
          <Ranked key={placeOf(board, "")} board={board} metric={metric} search={searchable ? search : ""} />
        </>
      )}
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
