// One graded response.
import type { Graded, Scores } from "../answers/evaluations.ts";
import { count, finished, points } from "../format.ts";
import { metricLabel } from "../metrics.ts";
import { Unknown } from "../states.tsx";
import { Prompt } from "./prompt.tsx";
import { Parting, Written } from "./text.tsx";

const Grades = ({ scores, metric }: { scores: Scores; metric: string }) => (
  <ul class="grades">
    {Object.entries(scores).map(([name, value = null]) => (
      <li key={name} class={name === metric ? "chosen" : ""}>
        {metricLabel(name)} <strong>{value === null ? <Unknown why="not graded" /> : points(value)}</strong>
      </li>
    ))}
  </ul>
);

const factsOf = ({ seed, num_tokens, finish_reason }: Graded): string =>
  [`seed ${seed}`, num_tokens === null ? null : count(num_tokens, "token"), finished(finish_reason)]
    .filter((fact) => fact !== null)
    .join(" · ");

function Responses({ record, metric, otherName }: RecordProps) {
  const { response, metrics, other } = record;
  if (other === null) {
    return (
      <>
        <h4>Response</h4>
        <Written text={response} />
        <Grades scores={metrics} metric={metric} />
      </>
    );
  }
  return (
    <div class="pair">
      <div>
        <h4>Response</h4>
        <Parting text={response} other={other.response} />
        <Grades scores={metrics} metric={metric} />
      </div>
      <div>
        <h4>{otherName}</h4>
        <Parting text={other.response} other={response} />
        <Grades scores={other.metrics} metric={metric} />
      </div>
    </div>
  );
}

interface RecordProps {
  record: Graded;
  metric: string;
  /** Whose `other` is. */
  otherName: string;
}

/** 100 is right, whatever the metric; what it skipped is neither right nor wrong. */
function Outcome({ value }: { value: number | null }) {
  if (value === null) return <span class="outcome">not graded</span>;
  return value === 100 ? <span class="outcome right">right</span> : <span class="outcome wrong">wrong</span>;
}

export const Record = ({ record, metric, otherName }: RecordProps) => (
  <article class="record" tabIndex={-1}>
    <header>
      <h3>{record.item}</h3>
      <Outcome value={record.metrics[metric] ?? null} />
      <p class="quiet">{factsOf(record)}</p>
    </header>
    <h4>Prompt</h4>
    <Prompt prompt={record.prompt} />
    <h4>{record.references.length === 1 ? "Reference" : "References"}</h4>
    <ul class="references">
      {record.references.map((reference, i) => (
        <li key={i}>
          <Written text={reference} />
        </li>
      ))}
    </ul>
    <Responses record={record} metric={metric} otherName={otherName} />
  </article>
);
