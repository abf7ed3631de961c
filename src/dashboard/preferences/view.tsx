// One preference evaluation: what it is, and its judged pairs.
import { isPreferenceEvaluation, isPreferenceRecords } from "../answers/preferences.ts";
import type { PreferenceEvaluation } from "../answers/preferences.ts";
import { preferencePlaceOf, teacherName } from "../board/place.ts";
import { Choice } from "../choice.tsx";
import { modelName } from "../format.ts";
import { Export } from "../records/export.tsx";
import { RecordList } from "../records/list.tsx";
import { Progress, isUnderWay, versionOf } from "../records/progress.tsx";
import { useDatasetName } from "../records/rivals.ts";
import { Search } from "../search.tsx";
import { Failed, Loading } from "../states.tsx";
import { useAnswer, useRefresh } from "../use-answer.ts";
import { filterAt, goTo, queryOf } from "./place.ts";
import type { Filter } from "./place.ts";
import { Pair } from "./record.tsx";
import { Facts, Figures } from "./summary.tsx";
import { listTitle, wordsOf } from "./words.ts";

const pathOf = (id: string): string => `/v1/preference-evaluations/${encodeURIComponent(id)}`;

function Filters({ evaluation, filter }: { evaluation: PreferenceEvaluation; filter: Filter }) {
  const outcomes = Object.entries(wordsOf(evaluation).lists).map(([value, label]) => ({ value, label }));
  return (
    <form class="controls" role="search" aria-label="Pairs" onSubmit={(event) => event.preventDefault()}>
      <Choice
        label="Show"
        value={filter.outcome ?? ""}
        options={[{ value: "", label: "All, in order" }, ...outcomes]}
        choose={(value) => goTo(evaluation.id, { ...filter, outcome: value === "" ? null : value }, "step")}
      />
      <Search
        label="Search"
        value={filter.search}
        search={(search) => goTo(evaluation.id, { ...filter, search }, "replace")}
      />
    </form>
  );
}

function Shown({ evaluation, filter }: { evaluation: PreferenceEvaluation; filter: Filter }) {
  const dataset = useDatasetName(evaluation);
  const path = `${pathOf(evaluation.id)}/records`;
  return (
    <>
      <Progress of={evaluation} what="pair" />
      <div class="summary">
        <Facts evaluation={evaluation} dataset={dataset} />
        <Figures evaluation={evaluation} />
      </div>
      <Filters evaluation={evaluation} filter={filter} />
      <Export path={path} name={evaluation.id} />
      <RecordList
        key={filter.outcome}
        title={listTitle(evaluation, filter.outcome)}
        source={{ path, query: queryOf(filter), is: isPreferenceRecords, version: versionOf(evaluation) }}
        draw={(record) => <Pair key={record.id} record={record} kind={evaluation.kind} />}
      />
    </>
  );
}

const titleOf = (evaluation: PreferenceEvaluation): string =>
  `${modelName({ model: evaluation.student, model_name: evaluation.student_name })} against ${teacherName(evaluation)}`;

export function PreferenceView({ id, query }: { id: string; query: URLSearchParams }) {
  const answer = useAnswer(pathOf(id), isPreferenceEvaluation);
  const { value, failure, again } = answer;
  useRefresh(value !== null && failure === null && isUnderWay(value), answer);
  return (
    <>
      <p>
        <a href={value === null ? "#/" : preferencePlaceOf(value)}>← Leaderboard</a>
      </p>
      <h1>{value === null ? "Preference evaluation" : titleOf(value)}</h1>
      {failure !== null && <Failed failure={failure} again={again} />}
      {value === null && failure === null && <Loading what="the preference evaluation" />}
      {value !== null && <Shown evaluation={value} filter={filterAt(query)} />}
    </>
  );
}
