// What the clock brings about: leases that end, boots that did not come back, jobs whose wait is over.
import { cancelJob, setBack } from "./endings.ts";
import { releaseHolds } from "./frames/presence.ts";
import { isolate } from "./isolate.ts";
import { terminal } from "./requests/jobs.ts";
import { leaseEndsAt, leaseVerdict } from "./lease.ts";
import type { LeaseVerdict } from "./lease.ts";
import type { Turn } from "./turn.ts";

const DETAIL: Record<Exclude<LeaseVerdict, "live">, string> = {
  disconnected: "its worker's connection was lost",
  expired: "its worker fell silent",
  hung: "its worker made no progress",
};

/** Runs at the beginning of every turn, so that nothing is decided on a lease that is over. */
export function expire(turn: Turn): void {
  for (const due of turn.tables.due.take(turn.now)) {
    if (due.kind === "lease") isolate(turn, due.key, () => expireLease(turn, due.key));
    else if (due.kind === "hold") releaseHolds(turn, due.key);
    else if (due.kind === "reader") isolate(turn, due.key, () => stopUnread(turn, due.key));
    turn.dispatch = true;
  }
}

/** Whoever asked for the stream has left: what it would say is wanted no more. */
function stopUnread(turn: Turn, id: string): void {
  const job = turn.tables.jobs.get(id);
  if (job !== null && !terminal(job.status)) cancelJob(turn, job);
}

function expireLease(turn: Turn, id: string): void {
  const { leases, jobs, due } = turn.tables;
  const lease = leases.of(id);
  const job = jobs.get(id);
  if (lease === null || job === null) return;
  const verdict = leaseVerdict(lease, turn.now);
  if (verdict === "live") {
    due.set("lease", id, leaseEndsAt(lease));
    return;
  }
  // It may be stopped, and would only let the next lease expire too.
  if (verdict === "expired") turn.tables.workers.update(lease.boot, { silent: true });
  turn.send(lease.boot, { type: "cancel", job: id, fence: lease.fence });
  const computed = job.phase === null || job.phase === "working" || job.phase === "replaying";
  const kind = computed && verdict !== "disconnected" ? "death" : "interruption";
  setBack(turn, job, { kind, detail: DETAIL[verdict], suspect: computed && verdict === "disconnected" });
}
