// Workers as the edge asks about them: list, drain, blobs, revoked keys.
import type { WorkerInfo } from "../../wire/jobs.ts";
import type { Answer } from "../api.ts";
import { answer, refuse } from "../refuse.ts";
import type { WorkerRow } from "../tables/workers.ts";
import type { Turn } from "../turn.ts";
import { workerInfo } from "../views.ts";

/** Workers of one page. */
const PAGE = 25;

/** A page of the workers that the project may see, and after which boot the next page begins: null after the last. */
export function listWorkers(
  turn: Turn,
  project: string,
  after: string,
): { workers: WorkerInfo[]; next: string | null } {
  const rows = turn.tables.workers.visibleAfter(project, after, PAGE);
  return { workers: infos(turn, rows, project), next: rows.length < PAGE ? null : (rows.at(-1)?.boot ?? null) };
}

/** To a project's reader only its own jobs are named. */
function infos(turn: Turn, rows: readonly WorkerRow[], project: string): WorkerInfo[] {
  const boots = rows.map(({ boot }) => boot);
  const leases = Map.groupBy(turn.tables.leases.ofProject(project, boots), ({ boot }) => boot);
  return rows.map((row) => workerInfo(row, leases.get(row.boot)?.map(({ job }) => job) ?? []));
}

/** It finishes the spans in hand and takes no more. A shared worker works for others too: its operator stops it. */
export function drainWorker(turn: Turn, project: string, id: string): Answer<WorkerInfo> {
  const worker = turn.tables.workers.byId(id);
  const there = worker !== null && worker.socket !== null;
  if (!there || (worker.project !== "" && worker.project !== project))
    return refuse("not_found", `no connected worker ${id}`);
  if (worker.project === "")
    return refuse("forbidden", "a shared worker is drained by its operator, on its own machine");
  turn.tables.workers.update(worker.boot, { draining: true });
  turn.send(worker.boot, { type: "drain", move_to: null });
  turn.dispatch = true;
  const [info] = infos(turn, [{ ...worker, draining: true }], project);
  return info === undefined ? refuse("not_found", `no connected worker ${id}`) : answer(info);
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
  const { workers, leases, fences } = turn.tables;
  const gone = workers.disconnect(key, turn.now);
  for (const { socket } of gone) turn.close(socket, 1008, "the key was revoked");
  const boots = gone.map(({ boot }) => boot);
  leases.dropAll(boots, turn.now);
  fences.releaseAll(boots);
  turn.dispatch = true;
}
