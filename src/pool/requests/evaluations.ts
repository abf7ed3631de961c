// Evaluations of fixed batches, one job: those that generate responses, and those that score pairs.
import { MAX_LEASE_BYTES } from "../../config.ts";
import type { JobKind } from "../../wire/payloads.ts";
import type { AnyEvaluation } from "../../wire/preference-evaluations.ts";
import type { Answer, Created, SubmitEvaluation } from "../api.ts";
import { reads } from "../blobs.ts";
import { cancelJob, endEvaluation } from "../endings.ts";
import { recordComparisons, recordDeleted, recordEvaluation } from "../record.ts";
import { answer, created, queueFull, refuse, replayed } from "../refuse.ts";
import { terminal } from "../states.ts";
import type { EvaluationRow } from "../tables/evaluations.ts";
import type { Turn } from "../turn.ts";
import { enqueue, modelNeeds, modelsOf } from "./jobs.ts";

export function submitEvaluation(turn: Turn, submit: SubmitEvaluation): Answer<Created<AnyEvaluation>> {
  const { evaluations, batches } = turn.tables;
  const there = evaluations.get(submit.id);
  if (there !== null) return replayed(turn, there, submit.digest, () => there.body);
  const same = submit.identity === null ? null : evaluations.same(submit.project, submit.identity);
  if (same !== null) return answer({ replayed: true, resource: same.body });
  const cut = submit.batches.map(({ batch, items }) => {
    return { batch, items, bytes: new TextEncoder().encode(JSON.stringify(items)).length };
  });
  if (cut.some((batch) => batch.bytes > MAX_LEASE_BYTES)) {
    return refuse("too_large", `the prompts of a batch have more than ${MAX_LEASE_BYTES} bytes; cut smaller batches`);
  }
  const full = queueFull(turn, submit.project);
  if (full !== null) return full;
  const { id, project, digest, identity, payload, job, cost } = submit;
  const body: AnyEvaluation = { ...submit.evaluation, status: "queued", done: 0, job };
  const row: EvaluationRow = { id, project, digest, identity, body, payload, created_at: turn.now };
  evaluations.insert(row);
  reads(turn, { project, owner: id }, payload);
  batches.putAll(cut.map((batch) => ({ evaluation: id, ...batch, committed: false })));
  const total = cut.reduce((sum, batch) => sum + batch.items.length, 0);
  const atEdge = payload.kind === "generate" && payload.artifact !== null;
  const kind: JobKind = atEdge ? "generate_edge" : payload.kind;
  const each = cost / Math.max(1, cut.length);
  const fields = { id: job, project, digest, kind, cost: each, subject: id, evaluation: id, total };
  // An export is all that the scorer needs of its model.
  enqueue(turn, { ...fields, ...(atEdge ? {} : modelNeeds(modelsOf(payload))) }, {});
  recordEvaluation(turn, row);
  return created(body);
}

function findEvaluation(turn: Turn, project: string, id: string): EvaluationRow | null {
  const row = turn.tables.evaluations.get(id);
  return row?.project === project ? row : null;
}

export function getEvaluation(turn: Turn, project: string, id: string): AnyEvaluation | null {
  return findEvaluation(turn, project, id)?.body ?? null;
}

/** One that was graded at the edge: the pool knows no more of it than its id. */
export function compareEvaluation(turn: Turn, project: string, id: string): null {
  recordComparisons(turn, project, id);
  return null;
}

/** Cancelling what has ended changes nothing. */
export function cancelEvaluation(turn: Turn, project: string, id: string): Answer<AnyEvaluation> {
  const row = findEvaluation(turn, project, id);
  if (row === null) return refuse("not_found", `no evaluation ${id}`);
  if (!terminal(row.body.status)) {
    const job = row.body.job === null ? null : turn.tables.jobs.get(row.body.job);
    if (job === null) endEvaluation(turn, id, "cancelled", null);
    else cancelJob(turn, job);
  }
  return answer(turn.tables.evaluations.get(id)?.body ?? row.body);
}

export function deleteEvaluation(turn: Turn, project: string, id: string): Answer<null> {
  const { evaluations, batches, bodies, jobs } = turn.tables;
  const row = findEvaluation(turn, project, id);
  if (row === null) return refuse("not_found", `no evaluation ${id}`);
  if (!terminal(row.body.status)) return refuse("in_use", `evaluation ${id} is ${row.body.status}; cancel it first`);
  bodies.remove("job IN (SELECT id FROM jobs WHERE evaluation = ?)", id);
  jobs.remove("evaluation = ?", id);
  batches.remove("evaluation = ?", id);
  evaluations.remove("id = ?", id);
  recordDeleted(turn, project, row.body.object, id);
  return answer(null);
}
