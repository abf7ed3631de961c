// hello, progress, and a socket that closes: who is there, and which leases live on.
import {
  CLOSED_SOCKET_MS,
  CONTACT_MS,
  FORGET_WORKER_MS,
  LEASE_MS,
  PROGRESS_MS,
  RESTART_GRACE_MS,
} from "../../config.ts";
import { PROTOCOLS } from "../../wire/pool.ts";
import type { Ack, Hello, ToWorker } from "../../wire/pool.ts";
import { blame, setBack } from "../endings.ts";
import { cutLease, graceLease, leaseEndsAt, renewLease, reopenLease } from "../lease.ts";
import type { LeaseClock } from "../lease.ts";
import type { LeaseRow } from "../tables/jobs.ts";
import type { WorkerRow } from "../tables/workers.ts";
import type { Turn } from "../turn.ts";
import { heldLease } from "./held.ts";
import type { FrameOf } from "./held.ts";

export interface Visitor {
  /** Id of the socket, of the key that opened it, and its project (empty: shared). */
  socket: string;
  key: string;
  project: string;
}

type Welcome = Extract<ToWorker, { type: "welcome" }>;

/** The newest socket of a boot speaks for it; a boot belongs to the key that it first came with. */
export function onHello(turn: Turn, visitor: Visitor, hello: Hello): Welcome | { violation: string } {
  const { workers, due } = turn.tables;
  const protocol = Math.min(hello.protocol, PROTOCOLS.newest);
  const least = hello.protocol_least ?? hello.protocol;
  if (protocol < Math.max(least, PROTOCOLS.least)) return { violation: otherProtocols(least, hello.protocol) };
  const known = workers.get(hello.boot);
  if (known !== null && known.key !== visitor.key) return { violation: "this boot belongs to another key" };
  if (known !== null && known.socket !== null && known.socket !== visitor.socket) {
    turn.close(known.socket, 4000, "a newer socket speaks for this boot");
  }
  if (known === null) for (const { boot } of workers.predecessors(visitor.key, hello.worker)) blame(turn, boot);
  workers.remove("socket IS NULL AND seen_at < ?", turn.now - FORGET_WORKER_MS);
  const worker = seatWorker(turn, visitor, { ...hello, protocol }, known);
  workers.put(worker);
  due.clear("hold", hello.boot);
  turn.dispatch = true;
  return {
    type: "welcome",
    re: hello.seq,
    protocol: worker.protocol,
    worker: worker.id,
    lease_ms: LEASE_MS,
    contact_ms: CONTACT_MS,
    progress_ms: PROGRESS_MS,
    reconcile: reconcile(turn, worker, hello),
  };
}

function otherProtocols(least: number, newest: number): string {
  const older = newest < PROTOCOLS.least ? "worker" : "service";
  return `you speak protocols ${least} to ${newest}, the pool ${PROTOCOLS.least} to ${PROTOCOLS.newest}: upgrade the ${older}`;
}

function seatWorker(turn: Turn, visitor: Visitor, hello: Hello, known: WorkerRow | null): WorkerRow {
  return {
    boot: hello.boot,
    id: known?.id ?? `worker_${crypto.randomUUID().replaceAll("-", "")}`,
    key: visitor.key,
    project: visitor.project,
    name: hello.worker,
    capabilities: hello.capabilities,
    fingerprint: hello.fingerprint,
    protocol: hello.protocol,
    slots: hello.slots,
    requests: hello.requests,
    runs: hello.runs,
    loaded: known?.loaded ?? [],
    socket: visitor.socket,
    draining: known?.draining ?? false,
    silent: false,
    created_at: known?.created_at ?? turn.now,
    seen_at: turn.now,
  };
}

/** Leases that both sides hold live on; those that only the pool knows of never reached the worker. */
function reconcile(turn: Turn, worker: WorkerRow, hello: Hello): Welcome["reconcile"] {
  const kept = new Set<string>();
  const answer: Welcome["reconcile"] = hello.leases.map(({ job, fence }) => {
    const held = heldLease(turn, worker, { job, fence });
    if (held !== null) {
      kept.add(job);
      saveLease(turn, held.lease, clockOf(reopenLease(held.lease, turn.now)));
    }
    return { job, fence, action: held === null ? "drop" : "keep" };
  });
  for (const lease of turn.tables.leases.ofBoot(worker.boot)) {
    const job = kept.has(lease.job) ? null : turn.tables.jobs.get(lease.job);
    if (job !== null) setBack(turn, job, { kind: "interruption", detail: "the worker came back without it" });
  }
  return answer;
}

function saveLease(turn: Turn, lease: LeaseRow, clock: LeaseClock): void {
  turn.tables.leases.patch(clock, "job = ?", lease.job);
  turn.tables.due.set("lease", lease.job, leaseEndsAt(clock));
}

/** The only frame that renews; its ack tells the worker the state of each of its leases. */
export function onProgress(turn: Turn, worker: WorkerRow, frame: FrameOf<"progress">): Ack["jobs"] {
  turn.tables.workers.update(worker.boot, { seen_at: turn.now });
  return frame.jobs.map((tick) => {
    const held = heldLease(turn, worker, tick);
    if (held === null) {
      const cancelled = turn.tables.jobs.get(tick.job)?.status === "cancelled";
      return { job: tick.job, status: cancelled ? "cancelled" : "stale_fence", ttl_ms: 0 };
    }
    saveLease(turn, held.lease, clockOf(renewLease(held.lease, tick.tick, turn.now)));
    turn.tables.jobs.update(tick.job, reported(held.job.run ?? held.job.evaluation, tick));
    return { job: tick.job, status: "ok", ttl_ms: LEASE_MS };
  });
}

/** A job of spans counts its own steps and items; of others only the worker knows how far they are. */
function reported(spans: string | null, tick: FrameOf<"progress">["jobs"][number]) {
  return spans === null ? { phase: tick.phase, done: tick.done, total: tick.total } : { phase: tick.phase };
}

function clockOf({ until, tick, tick_at, deadline_ms, closed }: LeaseClock): LeaseClock {
  return { until, tick, tick_at, deadline_ms, closed };
}

/** The socket is gone: its worker has a few seconds to come back. */
export function onClosed(turn: Turn, boot: string, socket: string): void {
  const { workers, leases, due } = turn.tables;
  const worker = workers.get(boot);
  if (worker?.socket !== socket) return;
  workers.update(boot, { socket: null, seen_at: turn.now });
  for (const lease of leases.ofBoot(boot)) saveLease(turn, lease, clockOf(cutLease(lease, turn.now)));
  due.set("hold", boot, turn.now + CLOSED_SOCKET_MS);
  turn.dispatch = true;
}

/** The pool has started again without the sockets of these boots: no lease is judged until they had time to come back. */
export function onRestart(turn: Turn, lost: readonly string[]): void {
  const { workers, leases, due } = turn.tables;
  for (const boot of lost) {
    workers.update(boot, { socket: null, seen_at: turn.now });
    due.set("hold", boot, turn.now + RESTART_GRACE_MS);
  }
  for (const lease of leases.all("true")) saveLease(turn, lease, clockOf(graceLease(lease, turn.now)));
}

/** The time is over and the boot has not come back: nothing is held for it any more. */
export function releaseHolds(turn: Turn, boot: string): void {
  const { workers, fences, leases } = turn.tables;
  if (workers.get(boot)?.socket !== null) return;
  for (const owner of fences.heldBy(boot)) if (leases.ofOwner(owner) === null) fences.release(owner);
}
