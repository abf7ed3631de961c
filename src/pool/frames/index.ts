// One frame of a known worker: which handler decides it, and the ack.
import type { Ack, FromWorker, Hello } from "../../wire/pool.ts";
import type { WorkerRow } from "../tables/workers.ts";
import type { Turn } from "../turn.ts";
import type { Look, Reply } from "./held.ts";
import { onProgress } from "./presence.ts";
import { onSamples } from "./samples.ts";
import { onState } from "./states.ts";
import { onMismatch, onOutOfMemory, onRows, onStep } from "./training.ts";
import { onDelta, onFail, onItems, onRefuse, onResult } from "./work.ts";

export type WorkFrame = Exclude<FromWorker, Hello>;

export type Decision = { ack: Ack } | { violation: string } | Look;

/** `stored`: what a look into R2 found, null before it. */
export function decide(turn: Turn, worker: WorkerRow, frame: WorkFrame, stored: boolean | null): Decision {
  if (worker.silent) {
    turn.tables.workers.update(worker.boot, { silent: false });
    turn.dispatch = true;
  }
  if (frame.type === "progress") {
    const jobs = onProgress(turn, worker, frame);
    return { ack: { type: "ack", re: frame.seq, status: "ok", head: null, ttl_ms: null, jobs } };
  }
  const answer = answerTo(turn, worker, frame, stored);
  if (!("status" in answer)) return answer;
  const lease = turn.tables.leases.of(frame.job);
  const live = lease !== null && lease.boot === worker.boot && lease.fence === frame.fence;
  const ttl_ms = live ? Math.max(0, lease.until - turn.now) : null;
  return { ack: { type: "ack", re: frame.seq, status: answer.status, head: answer.head, ttl_ms, jobs: [] } };
}

/** The same for a frame that came by a socket: only the newest of a boot speaks for it. */
export function decideFrom(
  turn: Turn,
  from: { boot: string; socket: string },
  frame: WorkFrame,
  stored: boolean | null,
): Decision {
  const worker = turn.tables.workers.get(from.boot);
  if (worker?.socket !== from.socket) return { violation: "a newer socket speaks for this boot" };
  return decide(turn, worker, frame, stored);
}

function answerTo(
  turn: Turn,
  worker: WorkerRow,
  frame: Exclude<WorkFrame, { type: "progress" }>,
  stored: boolean | null,
): Reply | Look {
  switch (frame.type) {
    case "rows":
      return onRows(turn, worker, frame);
    case "step":
      return onStep(turn, worker, frame);
    case "oom":
      return onOutOfMemory(turn, worker, frame);
    case "samples":
      return onSamples(turn, worker, frame, stored);
    case "mismatch":
      return onMismatch(turn, worker, frame);
    case "checkpoint":
    case "resume_state":
      return onState(turn, worker, frame, stored);
    case "items":
    case "pairs":
      return onItems(turn, worker, frame);
    case "delta":
      return onDelta(turn, worker, frame);
    case "result":
      return onResult(turn, worker, frame, stored);
    case "fail":
      return onFail(turn, worker, frame);
    case "refuse":
      return onRefuse(turn, worker, frame);
  }
}
