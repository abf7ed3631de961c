// A retry takes its run or evaluation up again.
import type { AnyEvaluation } from "../../wire/preference-evaluations.ts";
import type { Refusal } from "../api.ts";
import { recordEvaluation, refreshRun } from "../record.ts";
import { refuse } from "../refuse.ts";
import { evaluationMay, runMay } from "../states.ts";
import type { JobRow } from "../tables/jobs.ts";
import type { Turn } from "../turn.ts";

export interface Revival {
  fields: Partial<JobRow>;
  /** What changes once the new job is queued. */
  after: () => void;
}

export function revive(turn: Turn, job: JobRow, retryId: string): Revival | Refusal {
  if (job.run !== null) return reviveRun(turn, job, job.run);
  if (job.evaluation !== null) return reviveEvaluation(turn, job.evaluation, retryId);
  return { fields: {}, after: () => undefined };
}

function reviveRun(turn: Turn, job: JobRow, id: string): Revival | Refusal {
  const { runs } = turn.tables;
  const run = runs.get(id);
  if (run === null) return refuse("not_found", `the job's run ${id} was deleted`);
  if (run.status === "cancelled" || run.status === "completed" || run.error?.code === "not_reproducible") {
    return refuse("not_retryable", `the run is ${run.error?.code ?? run.status}; create a new run`);
  }
  const target = job.target ?? run.head;
  const status = runMay(run.status, "ready") ? "ready" : run.status;
  runs.update(id, { status, error: null, target: Math.max(run.target, target) });
  return { fields: { done: run.head, total: target }, after: () => refreshRun(turn, id) };
}

function reviveEvaluation(turn: Turn, id: string, retryId: string): Revival | Refusal {
  const { evaluations } = turn.tables;
  const row = evaluations.get(id);
  if (row === null) return refuse("not_found", `the job's evaluation ${id} was deleted`);
  if (!evaluationMay(row.body.status, "queued")) {
    return refuse("not_retryable", `the evaluation is ${row.body.status}; create it again`);
  }
  const body: AnyEvaluation = { ...row.body, status: "queued", error: null, job: retryId };
  const after = (): void => {
    evaluations.patch({ body }, "id = ?", id);
    recordEvaluation(turn, { ...row, body });
  };
  return { fields: { done: body.done, total: body.n * (body.generation?.seeds.length ?? 1) }, after };
}
