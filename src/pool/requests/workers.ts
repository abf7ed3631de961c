// Workers as the edge asks about them: list, drain, blobs, revoked keys.
import type { WorkerInfo } from "../../wire/jobs.ts";
import type { Answer } from "../api.ts";
import { setBack } from "../endings.ts";
import { onClosed } from "../frames/presence.ts";
import { answer, refuse } from "../refuse.ts";
import type { WorkerRow } from "../tables/workers.ts";
import type { Turn } from "../turn.ts";
import { workerInfo } from "../views.ts";

function visible(turn: Turn, project: string): WorkerRow[] {
  return turn.tables.workers.connected().filter((worker) => worker.project === "" || worker.project === project);
}

export function listWorkers(turn: Turn, project: string): WorkerInfo[] {
  return visible(turn, project).map((worker) => workerInfo(turn, worker, project));
}

/** It finishes the spans in hand and takes no more. A shared worker works for others too: its operator stops it. */
export function drainWorker(turn: Turn, project: string, id: string): Answer<WorkerInfo> {
  const worker = visible(turn, project).find((row) => row.id === id);
  if (worker === undefined) return refuse("not_found", `no connected worker ${id}`);
  if (worker.project === "")
    return refuse("forbidden", "a shared worker is drained by its operator, on its own machine");
  turn.tables.workers.update(worker.boot, { draining: true });
  turn.send(worker.boot, { type: "drain", move_to: null });
  turn.dispatch = true;
  return answer(workerInfo(turn, { ...worker, draining: true }, project));
}

/** The project of the job or run, if a worker with this key holds it at this fence. */
export function authorizeBlob(turn: Turn, key: string, owner: string, fence: number): string | null {
  const { jobs, runs, fences, workers } = turn.tables;
  const job = jobs.get(owner);
  const held = fences.get(job?.run ?? owner);
  if (held.fence !== fence || held.holder === null || workers.get(held.holder)?.key !== key) return null;
  return job?.project ?? runs.get(owner)?.project ?? null;
}

/** Those of the keys that a pointer names. */
export function namedBlobs(turn: Turn, keys: readonly string[]): string[] {
  return keys.filter((key) => turn.tables.pointers.count("key = ?", key) > 0);
}

/** The key's sockets close, and what its workers held is free at once. */
export function revokeKey(turn: Turn, key: string): void {
  const { workers, leases, jobs, fences } = turn.tables;
  for (const worker of workers.all('"key" = ?', key)) {
    for (const lease of leases.ofBoot(worker.boot)) {
      const job = jobs.get(lease.job);
      if (job !== null) setBack(turn, job, { kind: "interruption", detail: "the worker's key was revoked" });
    }
    for (const owner of fences.heldBy(worker.boot)) fences.release(owner);
    if (worker.socket === null) continue;
    turn.close(worker.socket, 1008, "the key was revoked");
    onClosed(turn, worker.boot, worker.socket);
  }
}
