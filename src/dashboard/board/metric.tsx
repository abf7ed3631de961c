// A board of metrics, ranked by one of them.
import type { MetricBoard } from "../answers/boards.ts";
import { isLeaderboard } from "../answers/evaluations.ts";
import type { Entry } from "../answers/evaluations.ts";
import { address } from "../api.ts";
import { modelName } from "../format.ts";
import { metricAbout, metricLabel } from "../metrics.ts";
import { evaluationPlace } from "../route.ts";
import { Failed, Loading } from "../states.tsx";
import { useAnswer } from "../use-answer.ts";
import { Help, METRIC_TERMS } from "./help.tsx";
import { boardName, termsOf } from "./place.ts";
import { Ranking } from "./ranking.tsx";
import type { Labels, Ranked } from "./ranking.tsx";

const LABELS: Labels = {
  one: "model",
  many: "models",
  name: "Model",
  mean: "Mean",
  items: "Questions",
  neutral: null,
  hasStrength: false,
};

const rankedOf = (entry: Entry, metric: string): Ranked => ({
  ...entry,
  name: modelName(entry),
  details: entry.model_name === null || entry.model_name === entry.model ? null : entry.model,
  selected: entry.selected_on_this_split,
  place: evaluationPlace(entry.evaluation, { metric }),
  strength: null,
});

interface Shown {
  board: MetricBoard;
  metric: string;
  search: string;
}

function Table({ board, metric, search }: Shown) {
  const url = address("/v1/leaderboard", { dataset: board.dataset, ...termsOf(board), metric });
  const { value, failure, loading, again } = useAnswer(url, isLeaderboard);
  if (failure !== null) return <Failed failure={failure} again={again} />;
  if (value === null) return <Loading what="the leaderboard" />;
  if (value.data.length === 0) {
    return (
      <p class="notice">No evaluation on this board has a figure for {metricLabel(metric)}: choose another metric.</p>
    );
  }
  const title = `${metricLabel(value.metric)}: ${boardName(board)}`;
  const entries = value.data.map((entry) => rankedOf(entry, value.metric));
  return (
    <div aria-busy={loading}>
      <Ranking entries={entries} labels={LABELS} title={title} search={search} />
      <Help leaderboard={value} terms={METRIC_TERMS} />
    </div>
  );
}

export const MetricRanking = (shown: Shown) => (
  <>
    <p class="quiet">
      {metricLabel(shown.metric)}: {metricAbout(shown.metric)}.
    </p>
    <Table {...shown} />
  </>
);
