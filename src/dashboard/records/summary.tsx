// What an evaluation is, and its figures.
import type { Evaluation } from "../answers/evaluations.ts";
import { day, rowsName } from "../format.ts";
import { metricAbout, metricLabel } from "../metrics.ts";
import { Figure } from "./figure.tsx";
import { generationText } from "./generation.ts";

export const Facts = ({ evaluation, dataset }: { evaluation: Evaluation; dataset: string }) => (
  <dl class="facts">
    <dt>Data set</dt>
    <dd>
      {dataset}, split {evaluation.split}, {rowsName(evaluation.limit)}
    </dd>
    <dt>Template</dt>
    <dd>{evaluation.template ?? "not known"}</dd>
    {evaluation.pattern !== null && (
      <>
        <dt>Pattern</dt>
        <dd>
          <code>{evaluation.pattern}</code>
        </dd>
      </>
    )}
    <dt>Responses</dt>
    <dd>{evaluation.generation === null ? "given, not generated here" : generationText(evaluation.generation)}</dd>
    <dt>Questions</dt>
    <dd>{evaluation.n.toLocaleString("en")}</dd>
    <dt>Made</dt>
    <dd>
      {day(evaluation.created_at)} as <code>{evaluation.id}</code>
    </dd>
  </dl>
);

export const Figures = ({ metrics }: { metrics: NonNullable<Evaluation["metrics"]> }) => (
  <ul class="figures" aria-label="Figures">
    {Object.entries(metrics).map(([metric, interval = null]) => (
      <Figure key={metric} name={metricLabel(metric)} about={metricAbout(metric)} interval={interval} />
    ))}
  </ul>
);
