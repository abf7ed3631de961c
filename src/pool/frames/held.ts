// Which lease a frame speaks for, and what is answered.
import type { BlobRef } from "../../wire/blobs.ts";
import type { AckStatus, FromWorker } from "../../wire/pool.ts";
import type { JobRow } from "../tables/jobs.ts";
import type { LeaseRow } from "../tables/leases.ts";
import type { RunRow } from "../tables/runs.ts";
import type { WorkerRow } from "../tables/workers.ts";
import type { Turn } from "../turn.ts";

export type FrameOf<T extends FromWorker["type"]> = Extract<FromWorker, { type: T }>;

/** The answer to a frame; a `violation` breaks the protocol and costs the socket. */
export type Reply = { status: AckStatus; head: number | null } | { violation: string };

/** Blobs that must be seen complete in R2, under this prefix, before the frame can be decided. */
export interface Look {
  prefix: string;
  blobs: BlobRef[];
}

export const reply = (status: AckStatus, head: number | null = null): Reply => ({ status, head });

export interface HeldLease {
  lease: LeaseRow;
  job: JobRow;
}

/** A lease that is over, though the clock has not come to it yet, is nobody's. */
export function isOver(turn: Turn, lease: LeaseRow): boolean {
  return lease.closed === "dropped" || (turn.judges && turn.now >= lease.ends);
}

/** The live lease that the frame names; null if its fence is stale. */
export function heldLease(turn: Turn, worker: WorkerRow, frame: { job: string; fence: number }): HeldLease | null {
  const lease = turn.tables.leases.of(frame.job);
  if (lease?.boot !== worker.boot || lease.fence !== frame.fence || isOver(turn, lease)) return null;
  const job = turn.tables.jobs.get(frame.job);
  return job === null ? null : { lease, job };
}

interface RunFrame {
  job: string;
  run: string;
  fence: number;
  lineage: number;
}

/** The same for a frame about a run: its lineage must be the run's too. */
export function heldRunLease(turn: Turn, worker: WorkerRow, frame: RunFrame): (HeldLease & { run: RunRow }) | null {
  const held = heldLease(turn, worker, frame);
  const run = held?.job.run === frame.run ? turn.tables.runs.get(frame.run) : null;
  return held === null || run?.lineage !== frame.lineage ? null : { ...held, run };
}

/** The run whose fence the worker holds, also between two spans: for uploads that ended after their span did. */
export function heldRun(turn: Turn, worker: WorkerRow, frame: RunFrame): RunRow | null {
  const { fence, holder } = turn.tables.fences.get(frame.run);
  if (holder !== worker.boot || fence !== frame.fence) return null;
  const run = turn.tables.runs.get(frame.run);
  return run?.lineage === frame.lineage ? run : null;
}
