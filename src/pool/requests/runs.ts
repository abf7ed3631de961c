// Runs: create, read, cancel, delete; their events and checkpoints.
import { EVENT_PAGE, HEAD_CHUNK } from "../../config.ts";
import type { BestCheckpoint, Run } from "../../wire/runs.ts";
import type { Answer, Created, EventPage, StoredCheckpoint, SubmitRun } from "../api.ts";
import { discardPrefix, reads } from "../blobs.ts";
import { endRun } from "../endings.ts";
import { ended, recordDeleted, recordEvent, recordRun } from "../record.ts";
import { answer, created, refuse, replayed } from "../refuse.ts";
import type { RunRow } from "../tables/runs.ts";
import type { Turn } from "../turn.ts";
import { runView, storedCheckpoint } from "../views.ts";

export function submitRun(turn: Turn, run: SubmitRun): Answer<Created<Run>> {
  const { runs } = turn.tables;
  const there = runs.get(run.id);
  if (there !== null) return replayed(turn, there, run.digest, () => runView(turn, there));
  const { id, project, digest, request, spec } = run;
  const row: RunRow = {
    id,
    project,
    digest,
    request,
    spec,
    created_at: turn.now,
    status: "ready",
    head: 0,
    head_hash: null,
    target: 0,
    lineage: 0,
    fingerprint: null,
    engine: 0,
    state_sha256: null,
    rows: null,
    plan: [{ from: 1, micro_batch_tokens: request.micro_batch_tokens, head_chunk: HEAD_CHUNK, share_prefixes: true }],
    breaks: [],
    error: null,
    waiting_since: null,
    sequence: 0,
  };
  runs.insert(row);
  reads(turn, { project, owner: id }, spec);
  recordEvent(turn, id, { type: "status", data: { status: "ready", head: 0, error: null } });
  recordRun(turn, id);
  return created(runView(turn, row));
}

export function findRun(turn: Turn, project: string, id: string): RunRow | null {
  const run = turn.tables.runs.get(id);
  return run?.project === project ? run : null;
}

export function getRun(turn: Turn, project: string, id: string): Run | null {
  const run = findRun(turn, project, id);
  return run === null ? null : runView(turn, run);
}

/** Cancelling what has ended changes nothing. */
export function cancelRun(turn: Turn, project: string, id: string): Answer<Run> {
  const run = findRun(turn, project, id);
  if (run === null) return refuse("not_found", `no run ${id}`);
  endRun(turn, id, "cancelled", null);
  return answer(runView(turn, findRun(turn, project, id) ?? run));
}

export function deleteRun(turn: Turn, project: string, id: string): Answer<null> {
  const { tables } = turn;
  if (findRun(turn, project, id) === null) return refuse("not_found", `no run ${id}`);
  if (tables.jobs.soonest(id) !== null) {
    return refuse("in_use", `run ${id} has unfinished jobs; cancel it first`);
  }
  const prefix = `${project}/${id}/`;
  if (tables.readers.any(id)) {
    return refuse("in_use", `a checkpoint of run ${id} is used by unfinished work; wait for it or cancel it`);
  }
  tables.bodies.remove("job IN (SELECT id FROM jobs WHERE run = ?)", id);
  tables.jobs.remove("run = ?", id);
  for (const { id: job } of tables.jobs.exportsOf(id, 100)) {
    tables.bodies.remove("job = ?", job);
    tables.jobs.remove("id = ?", job);
    discardPrefix(turn, `${project}/${job}/`);
  }
  const { steps, states, samples, candidates, events, shutouts } = tables;
  for (const table of [steps, states, samples, candidates, events, shutouts]) table.remove("run = ?", id);
  tables.runs.remove("id = ?", id);
  tables.fences.remove("owner = ?", id);
  tables.readers.done(id);
  discardPrefix(turn, prefix);
  recordDeleted(turn, project, "run", id);
  return answer(null);
}

export function eventPage(turn: Turn, project: string, id: string, after: number): EventPage | null {
  const run = findRun(turn, project, id);
  if (run === null) return null;
  const rows = turn.tables.events.all("run = ? AND sequence > ? ORDER BY sequence LIMIT ?", id, after, EVENT_PAGE);
  const last = rows.at(-1)?.sequence ?? after;
  return { events: rows.map((row) => row.event), ended: ended(run) && last >= run.sequence };
}

const STEP = /^([0-9]{1,9})(?:\.([0-9]{1,6}))?$/;

/** `120` is of the first lineage, `120.1` of the next: ids are never reused. `best` is whatever is best now. */
export function getCheckpoint(turn: Turn, project: string, id: string, step: string): StoredCheckpoint | null {
  const run = findRun(turn, project, id);
  const place = step === "best" ? turn.tables.candidates.best(id) : placeOf(step);
  if (run === null || place === null) return null;
  const row = turn.tables.states.checkpoint(id, place.lineage, place.step);
  return row === null ? null : storedCheckpoint(turn, run, row);
}

function placeOf(step: string): { lineage: number; step: number } | null {
  const match = STEP.exec(step);
  return match === null ? null : { lineage: Number(match[2] ?? 0), step: Number(match[1]) };
}

/** What an evaluation came to. Its checkpoint may be superseded by now: then it is never the best. */
export function recordBest(turn: Turn, project: string, id: string, candidate: BestCheckpoint): Run | null {
  const { candidates } = turn.tables;
  const run = findRun(turn, project, id);
  if (run === null) return null;
  const before = candidates.best(id);
  candidates.add(id, candidate);
  const best = candidates.best(id);
  if (best !== null && best.evaluation !== before?.evaluation) {
    recordEvent(turn, id, { type: "best", data: best });
    recordRun(turn, id);
  }
  return runView(turn, run);
}
