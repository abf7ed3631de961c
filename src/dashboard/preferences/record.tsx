// One judged pair: both responses side by side, with what each model makes of them.
import type { Judged, PreferenceEvaluation, Side } from "../answers/preferences.ts";
import { count, finished, signed } from "../format.ts";
import { Prompt } from "../records/prompt.tsx";
import { Written } from "../records/text.tsx";
import { wordsOf } from "./words.ts";

type Kind = PreferenceEvaluation["kind"];

const outcomeOf = (margin: number): "right" | "wrong" | "tie" => (margin > 0 ? "right" : margin < 0 ? "wrong" : "tie");

/** A mark and its colour say right or wrong; under closeness there is neither. */
const Outcome = ({ margin, kind }: { margin: number; kind: Kind }) => {
  const outcome = outcomeOf(margin);
  return (
    <span class={kind === "accuracy" ? `outcome ${outcome}` : "outcome"}>{wordsOf({ kind }).outcomes[outcome]}</span>
  );
};

const Figure = ({ name, value }: { name: string; value: string }) => (
  <li>
    {name} <strong>{value}</strong>
  </li>
);

const SideOf = ({ title, side }: { title: string; side: Side }) => (
  <div>
    <h4>{title}</h4>
    <Written text={side.response} />
    <ul class="grades">
      <Figure name="Implicit reward" value={signed(side.implicit_reward, 3)} />
      <Figure name="log p, teacher" value={signed(side.teacher_logprob, 2)} />
      <Figure name="log p, student" value={signed(side.student_logprob, 2)} />
      <li>{[count(side.num_tokens, "token"), finished(side.finish_reason)].filter(Boolean).join(" · ")}</li>
    </ul>
  </div>
);

export function Pair({ record, kind }: { record: Judged; kind: Kind }) {
  const { chosen, rejected } = wordsOf({ kind });
  return (
    <article class="record" tabIndex={-1}>
      <header>
        <h3>{record.item}</h3>
        <Outcome margin={record.margin} kind={kind} />
        <p class="quiet">
          {record.seed !== null && `seed ${record.seed} · `}margin {signed(record.margin, 3)} · probability of{" "}
          {kind === "accuracy" ? "chosen" : "the teacher's"} {record.probability.toFixed(3)}
        </p>
      </header>
      <h4>Prompt</h4>
      <Prompt prompt={record.prompt} />
      <div class="pair">
        <SideOf title={chosen} side={record.chosen} />
        <SideOf title={rejected} side={record.rejected} />
      </div>
    </article>
  );
}
