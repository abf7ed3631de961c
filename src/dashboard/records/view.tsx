// One evaluation: what it is, and its records, right and wrong side by side.
import { isEvaluation } from "../answers.ts";
import type { Evaluation } from "../answers.ts";
import { address } from "../api.ts";
import type { Query } from "../api.ts";
import { placeOf } from "../board/place.ts";
import { modelName } from "../format.ts";
import { metricLabel } from "../metrics.ts";
import { Failed, Loading } from "../states.tsx";
import { useAnswer, useRefresh } from "../use-answer.ts";
import { Export } from "./export.tsx";
import { Filters } from "./filters.tsx";
import { RecordList } from "./list.tsx";
import { filterAt } from "./place.ts";
import type { Filter } from "./place.ts";
import { useDatasetName, useRivals, withNamed } from "./rivals.ts";
import type { Rival } from "./rivals.ts";
import { Facts, Figures, Progress, isUnderWay } from "./summary.tsx";

const OUTCOMES: Readonly<Record<string, readonly (string | null)[]>> = {
  both: ["right", "wrong"],
  all: [null],
  right: ["right"],
  wrong: ["wrong"],
};

const titleOf = (outcome: string | null): string =>
  outcome === null ? "All" : outcome === "right" ? "Right" : "Wrong";

const queryOf = ({ metric, search, changedFrom }: Filter, outcome: string | null): Query => ({
  metric,
  outcome,
  changed_from: changedFrom,
  q: search,
});

function Lists({ evaluation, filter, rivals }: { evaluation: Evaluation; filter: Filter; rivals: readonly Rival[] }) {
  const outcomes = OUTCOMES[filter.shown] ?? [];
  const otherName = rivals.find((rival) => rival.evaluation === filter.changedFrom)?.name ?? "";
  return (
    <>
      {filter.changedFrom !== null && (
        <p class="quiet">
          Only what {metricLabel(filter.metric)} judges otherwise than in {otherName}; the words that differ are marked.
        </p>
      )}
      <div class={outcomes.length > 1 ? "columns" : ""}>
        {outcomes.map((outcome) => (
          <RecordList
            key={titleOf(outcome)}
            title={titleOf(outcome)}
            evaluation={evaluation.id}
            query={queryOf(filter, outcome)}
            version={isUnderWay(evaluation) ? evaluation.done : -1}
            otherName={otherName}
          />
        ))}
      </div>
    </>
  );
}

function Shown({ evaluation, filter }: { evaluation: Evaluation; filter: Filter }) {
  const rivals = withNamed(useRivals(evaluation, filter), filter.changedFrom);
  const dataset = useDatasetName(evaluation);
  const figures = Object.entries(evaluation.metrics ?? {});
  const graded = figures.flatMap(([metric, interval]) => (interval === null ? [] : [metric]));
  // Before its figures are there, nobody knows which metrics it will have: the one asked for is always offered.
  const metrics = [...new Set([...graded, filter.metric])];
  return (
    <>
      <Progress evaluation={evaluation} />
      <div class="summary">
        <Facts evaluation={evaluation} dataset={dataset} />
        {evaluation.metrics !== null && <Figures metrics={evaluation.metrics} />}
      </div>
      <Filters evaluation={evaluation} filter={filter} metrics={metrics} rivals={rivals} />
      <Export evaluation={evaluation.id} />
      <Lists evaluation={evaluation} filter={filter} rivals={rivals} />
    </>
  );
}

export function EvaluationView({ id, query }: { id: string; query: URLSearchParams }) {
  const answer = useAnswer(address(`/v1/evaluations/${encodeURIComponent(id)}`, {}), isEvaluation);
  const { value, failure, again } = answer;
  useRefresh(value !== null && failure === null && isUnderWay(value), answer);
  return (
    <>
      <p>
        <a href={value === null ? "#/" : placeOf(value, filterAt(query).metric)}>← Leaderboard</a>
      </p>
      <h1>{value === null ? "Evaluation" : modelName(value)}</h1>
      {failure !== null && <Failed failure={failure} again={again} />}
      {value === null && failure === null && <Loading what="the evaluation" />}
      {value !== null && <Shown evaluation={value} filter={filterAt(query)} />}
    </>
  );
}
