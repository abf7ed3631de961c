// Take optimizer steps, or a checkpoint, of a run.
import type { Answer, Created, JobState, Refusal, TakeStepsRequest } from "../api.ts";
import { completeJob, reached } from "../endings.ts";
import { ended, refreshRun } from "../record.ts";
import { answer, created, queueFull, refuse, replayed } from "../refuse.ts";
import type { JobRow } from "../tables/jobs.ts";
import type { RunRow } from "../tables/runs.ts";
import type { Turn } from "../turn.ts";
import { jobState } from "../views.ts";
import { enqueue, modelNeeds } from "./jobs.ts";
import { findRun } from "./runs.ts";

export function takeSteps(turn: Turn, request: TakeStepsRequest): Answer<Created<JobState>> {
  const { jobs, runs } = turn.tables;
  const run = findRun(turn, request.project, request.run);
  if (run === null) return refuse("not_found", `no run ${request.run}`);
  const there = jobs.get(request.job);
  if (there !== null) return replayed(turn, there, request.digest, () => jobState(turn, there));
  const target = targetOf(run, request.ask);
  if (typeof target !== "number") return target;
  const same = "to" in request.ask ? jobs.towards(run.id, target) : null;
  if (same !== null) return answer({ replayed: true, resource: jobState(turn, same) });
  if (ended(run) && !("checkpoint" in request.ask && run.status === "completed")) {
    return refuse("run_finished", `run ${run.id} is ${run.status} at step ${run.head}; create another run`);
  }
  const full = queueFull(turn, request.project);
  if (full !== null) return full;
  const job = enqueueSteps(turn, run, request, target);
  if (reached(turn, run, job)) {
    completeJob(turn, job, { kind: "train", head: target, state_sha256: run.state_sha256 }, null);
  }
  runs.update(run.id, { target: Math.max(run.target, target) });
  refreshRun(turn, run.id);
  return created(jobState(turn, jobs.get(job.id) ?? job));
}

/** The step that is asked for, within the run's schedule. */
function targetOf(run: RunRow, ask: TakeStepsRequest["ask"]): number | Refusal {
  const total = run.spec.optimizer.total_steps;
  const ahead = Math.max(run.head, run.target);
  if ("checkpoint" in ask) return ahead;
  const target = "to" in ask ? ask.to : ahead + ask.count;
  if ("count" in ask && ask.count < 1) return refuse("invalid_request", "count must be at least 1");
  if (target < 1) return refuse("invalid_request", "to must be at least 1");
  if (target <= total) return target;
  if (ended(run)) return refuse("run_finished", `run ${run.id} is ${run.status} at step ${run.head}`);
  const left = `${total - ahead} of the run's ${total} steps are left to ask for`;
  return refuse("invalid_request", `step ${target} is past the run's total_steps; ${left}`);
}

function enqueueSteps(turn: Turn, run: RunRow, request: TakeStepsRequest, target: number): JobRow {
  const { spec } = run;
  const models = [spec.student, spec.teacher, spec.reward_model].filter((model) => model !== null);
  const fields = {
    id: request.job,
    project: run.project,
    kind: "train" as const,
    digest: request.digest,
    subject: run.id,
    run: run.id,
    target,
    checkpoint: "checkpoint" in request.ask,
    done: run.head,
    total: target,
    ...modelNeeds(models),
  };
  return enqueue(turn, fields, { request: JSON.stringify(request.ask) });
}
