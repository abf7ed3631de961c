// What the clock brings about: leases that end, boots that did not come back, jobs whose pause is over.
import { cancelJob, setBack, settleRun, standInLine } from "./endings.ts";
import { releaseHolds } from "./frames/presence.ts";
import { isolate } from "./isolate.ts";
import { leaseVerdict } from "./lease.ts";
import type { LeaseVerdict } from "./lease.ts";
import { terminal } from "./states.ts";
import type { DueRow } from "./tables/due.ts";
import type { LeaseRow } from "./tables/leases.ts";
import type { Turn } from "./turn.ts";

const DETAIL: Record<LeaseVerdict, string> = {
  disconnected: "its worker's connection was lost",
  dropped: "the worker came back without it",
  expired: "its worker fell silent",
  hung: "its worker made no progress",
};

/** Leases that end, and other things that come due, in one turn; the rest follow in the next ones. */
const ENDED_AT_ONCE = 2;

/** What has come due, a little at a time. Whether there is more. */
export function expire(turn: Turn): boolean {
  const { due, leases } = turn.tables;
  const over = leases.over(turn.now, turn.judges, ENDED_AT_ONCE);
  for (const lease of over) isolate(turn, lease.job, () => expireLease(turn, lease));
  const taken = due.take(turn.now, ENDED_AT_ONCE);
  for (const one of taken) isolate(turn, one.key, () => comeDue(turn, one));
  if (over.length + taken.length > 0) turn.dispatch = true;
  return over.length === ENDED_AT_ONCE || taken.length === ENDED_AT_ONCE;
}

function comeDue(turn: Turn, { kind, key }: DueRow): void {
  if (kind === "hold") releaseHolds(turn, key);
  else if (kind === "reader") stopUnread(turn, key);
  else if (kind === "settle") settleRun(turn, key);
  else if (kind === "wake") wake(turn, key);
}

/** The pause of a job is over; without a key, only the schedule is made again. */
function wake(turn: Turn, id: string): void {
  if (id === "") turn.overview.wakeAt = null;
  const job = id === "" ? null : turn.tables.jobs.get(id);
  if (job !== null && !terminal(job.status) && turn.tables.leases.of(id) === null) standInLine(turn, job);
}

/** Whoever asked for the stream has left: what it would say is wanted no more. */
function stopUnread(turn: Turn, id: string): void {
  const job = turn.tables.jobs.get(id);
  if (job !== null && !terminal(job.status)) cancelJob(turn, job);
}

function expireLease(turn: Turn, lease: LeaseRow): void {
  const { jobs, workers, progress } = turn.tables;
  const job = jobs.get(lease.job);
  if (job === null) {
    turn.tables.leases.end(lease);
    return;
  }
  const open = turn.isOpen(workers.get(lease.boot)?.socket ?? null);
  const verdict = leaseVerdict(lease, turn.now, open);
  // It may be stopped, and would only let the next lease expire too.
  if (verdict === "expired") workers.update(lease.boot, { silent: true });
  turn.send(lease.boot, { type: "cancel", job: job.id, fence: lease.fence });
  const phase = progress.get(job.id)?.phase ?? null;
  const computed = phase === null || phase === "working" || phase === "replaying";
  const lost = verdict === "disconnected" || verdict === "dropped";
  const kind = computed && !lost ? "death" : "interruption";
  setBack(turn, job, { kind, detail: DETAIL[verdict], suspect: computed && verdict === "disconnected" });
}
