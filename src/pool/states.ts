// Which status may follow which, of jobs, runs and evaluations. What has ended stays as it ended; only what failed may be taken
// up again, by a retry.
import type { Status } from "../wire/common.ts";
import type { Run } from "../wire/runs.ts";

type RunStatus = Run["status"];

const JOB: Record<Status, readonly Status[]> = {
  queued: ["running", "completed", "failed", "cancelled"],
  running: ["queued", "completed", "failed", "cancelled"],
  completed: [],
  failed: [],
  cancelled: [],
};

/** Steps may be asked for one after another, so that a run is ready again and again. */
const RUN: Record<RunStatus, readonly RunStatus[]> = {
  ready: ["queued", "running", "completed", "failed", "cancelled"],
  queued: ["ready", "running", "completed", "failed", "cancelled"],
  running: ["ready", "queued", "completed", "failed", "cancelled"],
  completed: [],
  failed: ["ready"],
  cancelled: [],
};

const EVALUATION: Record<Status, readonly Status[]> = {
  queued: ["running", "completed", "failed", "cancelled"],
  running: ["completed", "failed", "cancelled"],
  completed: [],
  failed: ["queued"],
  cancelled: [],
};

export const jobMay = (from: Status, to: Status): boolean => JOB[from].includes(to);
export const runMay = (from: RunStatus, to: RunStatus): boolean => RUN[from].includes(to);
export const evaluationMay = (from: Status, to: Status): boolean => EVALUATION[from].includes(to);

export const terminal = (status: Status): boolean => ["completed", "failed", "cancelled"].includes(status);
