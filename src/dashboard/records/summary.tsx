// What an evaluation is, how far it is, and its figures.
import type { Generation } from "../../wire/generation.ts";
import type { Evaluation, Interval } from "../answers.ts";
import { count, day, points, range, rowsName } from "../format.ts";
import { IntervalPlot } from "../interval.tsx";
import { metricAbout, metricLabel } from "../metrics.ts";

export const isUnderWay = ({ status }: Evaluation): boolean => status === "queued" || status === "running";

const sampling = ({ temperature, top_p, top_k }: Generation): string =>
  temperature === 0
    ? "greedy"
    : [
        `temperature ${temperature}`,
        ...(top_p < 1 ? [`top-p ${top_p}`] : []),
        ...(top_k > 0 ? [`top-k ${top_k}`] : []),
      ].join(", ");

const generated = (generation: Generation | null): string => {
  if (generation === null) return "given, not generated here";
  const { max_new_tokens, seeds, stop } = generation;
  const ends = stop.length === 0 ? [] : [`stops at ${stop.map((end) => JSON.stringify(end)).join(", ")}`];
  const of = `${seeds.length === 1 ? "seed" : "seeds"} ${seeds.join(", ")}`;
  return [sampling(generation), `at most ${count(max_new_tokens, "token")}`, ...ends, of].join("; ");
};

function Figure({ metric, interval }: { metric: string; interval: Interval | null }) {
  return (
    <li>
      <span class="name" title={metricAbout(metric)}>
        {metricLabel(metric)}
      </span>
      {interval === null ? (
        <span class="quiet">not graded</span>
      ) : (
        <>
          <span>
            <strong>{points(interval.mean)}</strong> <span class="quiet">{range(interval)}</span>
          </span>
          <IntervalPlot figures={interval} />
        </>
      )}
    </li>
  );
}

/** Responses that it will have: one of each item and seed. */
const total = ({ n, generation }: Evaluation): number => n * (generation?.seeds.length ?? 1);

export const Progress = ({ evaluation }: { evaluation: Evaluation }) => {
  const { status, done, error } = evaluation;
  if (isUnderWay(evaluation)) {
    return (
      <div class="notice">
        <label>
          {status === "queued" ? "Waiting for a worker" : "Under way"}: {done.toLocaleString("en")} of{" "}
          {count(total(evaluation), "response")}
          <progress max={total(evaluation)} value={done} />
        </label>
      </div>
    );
  }
  if (status === "completed") return null;
  return (
    <p class="notice failed">
      <strong>This evaluation {status === "failed" ? "failed" : "was cancelled"}.</strong>{" "}
      {error !== null && `${error.message} (${error.code})`}
    </p>
  );
};

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
    <dd>{generated(evaluation.generation)}</dd>
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
      <Figure key={metric} metric={metric} interval={interval} />
    ))}
  </ul>
);
