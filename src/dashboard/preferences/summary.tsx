// What a preference evaluation is, and its figure.
import type { PreferenceEvaluation } from "../answers/preferences.ts";
import { teacherName } from "../board/place.ts";
import { day, rowsName } from "../format.ts";
import { Figure } from "../records/figure.tsx";
import { generationText } from "../records/generation.ts";

export const Facts = ({ evaluation, dataset }: { evaluation: PreferenceEvaluation; dataset: string }) => (
  <dl class="facts">
    <dt>Teacher</dt>
    <dd>{teacherName(evaluation)}</dd>
    <dt>Data set</dt>
    <dd>
      {dataset}, split {evaluation.split}, {rowsName(evaluation.limit)}
    </dd>
    <dt>Template</dt>
    <dd>{evaluation.template}</dd>
    <dt>Reward</dt>
    <dd>
      beta {evaluation.beta}, {evaluation.length_normalize ? "per token" : "summed over tokens"}
    </dd>
    <dt>Responses</dt>
    <dd>
      {evaluation.generation === null
        ? "the data set's chosen and rejected"
        : `of both models; ${generationText(evaluation.generation)}`}
    </dd>
    <dt>{evaluation.kind === "accuracy" ? "Pairs" : "Prompts"}</dt>
    <dd>{evaluation.n.toLocaleString("en")}</dd>
    <dt>Made</dt>
    <dd>
      {day(evaluation.created_at)} as <code>{evaluation.id}</code>
    </dd>
  </dl>
);

const ABOUT = {
  accuracy: "share of pairs whose chosen response has the larger reward, a tie counted one half",
  closeness: "mean probability that the student's output is preferred",
};

export function Figures({ evaluation }: { evaluation: PreferenceEvaluation }) {
  const { kind, metrics, note } = evaluation;
  const figure = kind === "accuracy" ? metrics?.accuracy : metrics?.student_preferred;
  return (
    <div>
      <ul class="figures" aria-label="Figures">
        <Figure
          name={kind === "accuracy" ? "Accuracy" : "Student preferred"}
          about={ABOUT[kind]}
          interval={figure ?? null}
          neutral={50}
        />
      </ul>
      <p class="quiet note">{note}</p>
    </div>
  );
}
