// What of the records is shown.
import type { Evaluation } from "../answers/evaluations.ts";
import { Choice } from "../choice.tsx";
import { metricLabel } from "../metrics.ts";
import { Search } from "../search.tsx";
import { goTo } from "./place.ts";
import type { Filter } from "./place.ts";
import type { Rival } from "./rivals.ts";

const SHOWN_LABELS = [
  { value: "both", label: "Right and wrong" },
  { value: "all", label: "All, in order" },
  { value: "right", label: "Right only" },
  { value: "wrong", label: "Wrong only" },
];

interface Filters {
  evaluation: Evaluation;
  filter: Filter;
  metrics: readonly string[];
  rivals: readonly Rival[];
}

export function Filters({ evaluation, filter, metrics, rivals }: Filters) {
  const change = (part: Partial<Filter>, how: "step" | "replace" = "step") =>
    goTo(evaluation.id, { ...filter, ...part }, how);
  const nobody = { value: "", label: rivals.length === 0 ? "no other evaluation on this board" : "nothing" };
  return (
    <form class="controls" role="search" aria-label="Records" onSubmit={(event) => event.preventDefault()}>
      <Choice label="Show" value={filter.shown} options={SHOWN_LABELS} choose={(shown) => change({ shown })} />
      <Choice
        label="Judged by"
        value={filter.metric}
        options={metrics.map((value) => ({ value, label: metricLabel(value) }))}
        choose={(metric) => change({ metric })}
      />
      <Choice
        label="Changed against"
        value={filter.changedFrom ?? ""}
        options={[nobody, ...rivals.map(({ evaluation: value, name }) => ({ value, label: name }))]}
        choose={(value) => change({ changedFrom: value === "" ? null : value })}
      />
      <Search label="Search" value={filter.search} search={(search) => change({ search }, "replace")} />
    </form>
  );
}
