// One evaluation: what it is, and its records, right and wrong side by side.
import { isEvaluation, isRecords } from "../answers/evaluations.ts";
import type { Evaluation } from "../answers/evaluations.ts";
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
import { Progress, isUnderWay, versionOf } from "./progress.tsx";
import { Record } from "./record.tsx";
import { Facts, Figures } from "./summary.tsx";

const pathOf = (id: string): string => `/v1/evaluations/${encodeURIComponent(id)}`;

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
            source={{
              path: `${pathOf(evaluation.id)}/records`,
              query: queryOf(filter, outcome),
              is: isRecords,
              version: versionOf(evaluation),
            }}
            draw={(record) => <Record key={record.id} record={record} metric={filter.metric} otherName={otherName} />}
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
      <Progress of={evaluation} what="response" />
      <div class="summary">
        <Facts evaluation={evaluation} dataset={dataset} />
        {evaluation.metrics !== null && <Figures metrics={evaluation.metrics} />}
      </div>
      <Filters evaluation={evaluation} filter={filter} metrics={metrics} rivals={rivals} />
      <Export path={`${pathOf(evaluation.id)}/records`} name={evaluation.id} />
      <Lists evaluation={evaluation} filter={filter} rivals={rivals} />
    </>
  );
}

export function EvaluationView({ id, query }: { id: string; query: URLSearchParams }) {
  const answer = useAnswer(pathOf(id), isEvaluation);
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
