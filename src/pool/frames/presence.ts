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
import { blame } from "../endings.ts";
import { cutLease, dropLease, leaseEndsAt, renewLease, reopenLease } from "../lease.ts";
import type { LeaseRow } from "../tables/leases.ts";
import type { WorkerRow } from "../tables/workers.ts";
import type { Turn } from "../turn.ts";
import { isOver } from "./held.ts";
import type { FrameOf } from "./held.ts";

export interface Visitor {
  /** Id of the socket, of the key that opened it, and its project (empty: shared). */
  socket: string;
  key: string;
  project: string;
}

/** Workers long gone that are forgotten when one comes. */
const FORGOTTEN_AT_ONCE = 5;

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
  if (known === null) {
    const [last] = workers.predecessors(visitor.key, hello.worker, 1);
    if (last !== undefined) blame(turn, last.boot);
  }
  workers.forget(turn.now - FORGET_WORKER_MS, FORGOTTEN_AT_ONCE);
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
  const held = turn.tables.leases.ofBoot(worker.boot);
  const said = new Map(hello.leases.map(({ job, fence }) => [job, fence]));
  const knows = (lease: LeaseRow): boolean => said.get(lease.job) === lease.fence && !isOver(turn, lease);
  saveLeases(
    turn,
    held.map((lease) => (knows(lease) ? reopenLease(lease, turn.now, turn.since) : dropLease(lease, turn.now))),
  );
  const kept = new Set(held.filter(knows).map(({ job }) => job));
  return hello.leases.map(({ job, fence }) => ({ job, fence, action: kept.has(job) ? "keep" : "drop" }));
}

function saveLeases(turn: Turn, leases: readonly LeaseRow[]): void {
  turn.tables.leases.putAll(leases.map((lease) => ({ ...lease, ends: leaseEndsAt(lease) })));
}

/** The only frame that renews; its ack tells the worker the state of each of its leases. */
export function onProgress(turn: Turn, worker: WorkerRow, frame: FrameOf<"progress">): Ack["jobs"] {
  const { workers, leases, jobs, progress } = turn.tables;
  workers.seen(worker.boot, turn.now);
  const held = new Map(leases.ofBoot(worker.boot).map((lease) => [lease.job, lease]));
  const live = (tick: { job: string; fence: number }): LeaseRow | null => {
    const lease = held.get(tick.job);
    return lease?.fence === tick.fence && !isOver(turn, lease) ? lease : null;
  };
  const renewed: LeaseRow[] = [];
  for (const tick of frame.jobs) {
    const lease = live(tick);
    if (lease === null) continue;
    renewed.push(renewLease(lease, tick.tick, turn.now));
    progress.set(tick.job, { phase: tick.phase, done: tick.done, total: tick.total });
  }
  saveLeases(turn, renewed);
  const cancelled = jobs.cancelled(frame.jobs.filter((tick) => live(tick) === null).map(({ job }) => job));
  return frame.jobs.map((tick) => {
    if (live(tick) !== null) return { job: tick.job, status: "ok", ttl_ms: LEASE_MS };
    return { job: tick.job, status: cancelled.has(tick.job) ? "cancelled" : "stale_fence", ttl_ms: 0 };
  });
}

/** The socket is gone: its worker has a few seconds to come back. */
export function onClosed(turn: Turn, boot: string, socket: string): void {
  const { workers, leases, due } = turn.tables;
  const worker = workers.get(boot);
  if (worker?.socket !== socket) return;
  workers.update(boot, { socket: null, seen_at: turn.now });
  saveLeases(
    turn,
    leases.ofBoot(boot).map((lease) => cutLease(lease, turn.now)),
  );
  due.set("hold", boot, turn.now + CLOSED_SOCKET_MS);
  turn.dispatch = true;
}

/** A crash or a deploy has ended the socket and told nobody. */
export function onLost(turn: Turn, boot: string): void {
  turn.tables.workers.update(boot, { socket: null, seen_at: turn.now });
  turn.tables.due.set("hold", boot, turn.now + RESTART_GRACE_MS);
}

/** The time is over and the boot has not come back: nothing is held for it any more. */
export function releaseHolds(turn: Turn, boot: string): void {
  const { workers, fences } = turn.tables;
  if ((workers.get(boot)?.socket ?? null) === null) fences.releaseIdle(boot);
}
