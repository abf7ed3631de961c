// checkpoint, resume_state: a pointer moves once every blob is seen complete in R2, and only under a live fence.
import { RESUMES_KEPT } from "../../config.ts";
import type { BlobRef } from "../../wire/blobs.ts";
import type { StoredState } from "../../wire/runs.ts";
import { forget, pointTo } from "../blobs.ts";
import { settleRun } from "../endings.ts";
import { shutOut } from "../lineage.ts";
import { recordCheckpoint, recordEvent } from "../record.ts";
import type { RunRow, StateRow } from "../tables/runs.ts";
import type { WorkerRow } from "../tables/workers.ts";
import type { Turn } from "../turn.ts";
import { checkpointId } from "../views.ts";
import { heldRun, reply } from "./held.ts";
import type { FrameOf, Look, Reply } from "./held.ts";

type StateFrame = FrameOf<"checkpoint" | "resume_state">;

const blobsOf = (state: StoredState): BlobRef[] => state.files.flatMap((file) => file.parts);

/** `stored`: whether all its blobs are complete; null before anybody has looked. */
export function onState(turn: Turn, worker: WorkerRow, frame: StateFrame, stored: boolean | null): Reply | Look {
  const run = heldRun(turn, worker, frame);
  if (run === null) return reply("stale_fence");
  if (frame.state.step > run.head) return reply("gap", run.head);
  const there = existing(turn, run, frame);
  if (there !== null) return repeated(turn, worker, run, frame, there);
  if (stored === null) return { prefix: `${run.project}/${run.id}/${frame.fence}/`, blobs: blobsOf(frame.state) };
  if (!stored) return { violation: "names a blob that is not stored under the run's prefix, or has another size" };
  if (frame.type === "checkpoint") addCheckpoint(turn, run, frame.state);
  else addResume(turn, run, frame.state);
  return reply("ok");
}

function existing(turn: Turn, run: RunRow, frame: StateFrame): StateRow | null {
  const { states } = turn.tables;
  if (frame.type === "checkpoint") return states.checkpointAt(run.id, frame.state.step);
  return states.resumes(run.id).find((row) => row.step >= frame.state.step) ?? null;
}

/** The same weights again, or other weights at the same step. */
function repeated(turn: Turn, worker: WorkerRow, run: RunRow, frame: StateFrame, there: StateRow): Reply {
  if (there.step !== frame.state.step || there.state.sha256 === frame.state.sha256) return reply("duplicate");
  const job = turn.tables.jobs.get(frame.job);
  if (job !== null && turn.tables.leases.of(job.id) !== null) shutOut(turn, job, run, worker, there.step);
  return reply("diverged");
}

function rowOf(turn: Turn, run: RunRow, kind: StateRow["kind"], state: StoredState): StateRow {
  const { lineage } = run;
  return { run: run.id, kind, lineage, step: state.step, superseded: false, created_at: turn.now, state };
}

function addCheckpoint(turn: Turn, run: RunRow, state: StoredState): void {
  const row = rowOf(turn, run, "checkpoint", state);
  turn.tables.states.insert(row);
  pointTo(turn, checkpointId(row), blobsOf(state));
  const { step, sha256 } = state;
  recordEvent(turn, run.id, { type: "checkpoint", data: { checkpoint: checkpointId(row), step, sha256 } });
  recordCheckpoint(turn, run.project, row);
  settleRun(turn, run.id);
}

function addResume(turn: Turn, run: RunRow, state: StoredState): void {
  const { states } = turn.tables;
  const row = rowOf(turn, run, "resume", state);
  states.insert(row);
  pointTo(turn, resumeOwner(row), blobsOf(state));
  const { step, sha256 } = state;
  recordEvent(turn, run.id, { type: "resume_state", data: { step, sha256 } });
  for (const old of states.resumes(run.id).slice(RESUMES_KEPT)) dropResume(turn, old);
}

/** The next lease replays from an older one, or from step 0. */
export function dropResume(turn: Turn, row: StateRow): void {
  const { states } = turn.tables;
  states.remove("run = ? AND kind = 'resume' AND lineage = ? AND step = ?", row.run, row.lineage, row.step);
  forget(turn, resumeOwner(row));
}

function resumeOwner(row: StateRow): string {
  return `resume ${row.run} ${row.lineage} ${row.step}`;
}
