// A pool without sockets: the real tables and the real decisions, on a clock of the simulation's own.
// Its workers are honest, but they die, reconnect, repeat themselves and speak too late.
import { dispatch } from "../../src/pool/dispatch.ts";
import { expire } from "../../src/pool/expire.ts";
import { decide } from "../../src/pool/frames/index.ts";
import type { WorkFrame } from "../../src/pool/frames/index.ts";
import { onClosed, onHello } from "../../src/pool/frames/presence.ts";
import { Overview } from "../../src/pool/overview.ts";
import { recordChanged } from "../../src/pool/record.ts";
import { submitRun } from "../../src/pool/requests/runs.ts";
import { takeSteps } from "../../src/pool/requests/steps.ts";
import { openTables } from "../../src/pool/tables/index.ts";
import type { Meter } from "../../src/pool/tables/meter.ts";
import type { Tables } from "../../src/pool/tables/index.ts";
import { Turn } from "../../src/pool/turn.ts";
import type { AckStatus, Lease } from "../../src/wire/pool.ts";
import { runSubmit, metrics, fingerprint, sha, steps } from "./fixtures.ts";
import { newBoot } from "./fake-worker.ts";

export const TOTAL = 6;
/** Steps whose samples are drawn together. */
const BLOCK = 2;
export const blockOf = (n: number): number => n - ((n - 1) % BLOCK);
const honest = (n: number): string => sha(`honest ${n}`);

export class SimWorker {
  readonly boot = newBoot();
  socket: string | null = null;
  lease: Lease | null = null;
  /** Last step that it has taken in the lease at hand. */
  at = 0;
  /** Begin of the last block whose samples were acknowledged in the lease at hand. */
  drawn = 0;
  readonly said: WorkFrame[] = [];
}

export class Simulation {
  readonly tables: Tables;
  readonly storage: DurableObjectStorage;
  readonly workers = [new SimWorker(), new SimWorker(), new SimWorker()];
  readonly run: string;
  /** Told of each frame before it is decided; returns what must be answered, or null where anything may be. */
  oracle: (worker: SimWorker, frame: WorkFrame) => AckStatus | null = () => null;
  now = 1_000_000_000_000;
  readonly overview = new Overview();
  /** Of each turn so far. */
  readonly costs: Meter["spent"][] = [];
  #sockets = 0;
  #seq = 0;

  constructor(storage: DurableObjectStorage) {
    this.storage = storage;
    this.tables = openTables(storage);
    const submit = runSubmit({ total: TOTAL, every: 2 });
    this.run = submit.id;
    this.turn((turn) => submitRun(turn, submit));
    this.turn((turn) => takeSteps(turn, steps(submit.id, { to: TOTAL })));
  }

  turn<T>(change: (turn: Turn) => T): T {
    const value = this.#take(change);
    this.#until((turn) => expire(turn));
    this.#until((turn) => dispatch(turn));
    return value;
  }

  /** Takes turns as long as there is more to do. */
  #until(some: (turn: Turn) => boolean): void {
    for (let turns = 0; this.#take(some); turns += 1) if (turns > 1000) throw new Error("it never ends");
  }

  #take<T>(change: (turn: Turn) => T): T {
    this.tables.meter.reset();
    const transaction = <V>(work: () => V): V => this.storage.transactionSync(work);
    const turn = new Turn({
      now: this.now,
      tables: this.tables,
      overview: this.overview,
      since: -Infinity,
      fingerprintWaitMs: 600_000,
      transaction,
      isOpen: (socket) => this.workers.some((worker) => worker.socket !== null && worker.socket === socket),
    });
    const value = transaction(() => {
      const result = change(turn);
      recordChanged(turn);
      return result;
    });
    this.costs.push(this.tables.meter.spent);
    for (const { boot, frame } of turn.sends) {
      const worker = this.workers.find((other) => other.boot === boot);
      // A closed socket loses what is sent to it.
      if (worker === undefined || worker.socket === null) continue;
      if (frame.type === "lease") this.#begin(worker, frame);
      if (frame.type === "cancel" && worker.lease?.fence === frame.fence) worker.lease = null;
    }
    return value;
  }

  #begin(worker: SimWorker, lease: Lease): void {
    worker.lease = lease;
    worker.drawn = 0;
    worker.at = lease.payload?.kind === "train" ? lease.payload.from - 1 : 0;
  }

  connect(worker: SimWorker): void {
    worker.socket ??= `socket ${(this.#sockets += 1)}`;
    const visitor = { socket: worker.socket, key: "key_1", project: "" };
    const held = worker.lease === null ? [] : [{ job: worker.lease.job, fence: worker.lease.fence }];
    const welcome = this.turn((turn) => {
      return onHello(turn, visitor, {
        type: "hello",
        seq: 1,
        protocol: 2,
        protocol_least: null,
        worker: "w",
        boot: worker.boot,
        capabilities: { kinds: ["train"], models: ["tiny"], device: "cpu" },
        fingerprint: fingerprint(),
        slots: 1,
        requests: 1,
        runs: [],
        leases: held,
      });
    });
    if (!("reconcile" in welcome)) throw new Error(welcome.violation);
    const dropped = welcome.reconcile.find((entry) => entry.action === "drop");
    if (dropped !== undefined && worker.lease?.fence === dropped.fence) worker.lease = null;
  }

  disconnect(worker: SimWorker, forgets: boolean): void {
    const { socket } = worker;
    if (socket === null) return;
    worker.socket = null;
    if (forgets) worker.lease = null;
    this.turn((turn) => onClosed(turn, worker.boot, socket));
  }

  /** Decides a frame; its status, or null without a connection. */
  say(worker: SimWorker, frame: WorkFrame): AckStatus | null {
    if (worker.socket === null) return null;
    worker.said.push(frame);
    this.turn(() => undefined);
    const expected = this.oracle(worker, frame);
    const decision = this.turn((turn) => {
      const row = turn.tables.workers.get(worker.boot);
      if (row === null) throw new Error("an unknown worker");
      return decide(turn, row, frame, true);
    });
    if (!("ack" in decision)) throw new Error(JSON.stringify(decision));
    const { status } = decision.ack;
    if (expected !== null && status !== expected) throw new Error(`${frame.type}: ${status}, not ${expected}`);
    return status;
  }

  /** A worker that lost count: a step too far ahead. */
  skip(worker: SimWorker, ahead: number): void {
    const { lease } = worker;
    if (lease === null) return;
    const id = { job: lease.job, run: this.run, fence: lease.fence, lineage: lease.lineage ?? 0 };
    const n = worker.at + 1 + ahead;
    const hashes = { prev: honest(n - 1), hash: honest(n), metrics: metrics(4) };
    this.say(worker, { type: "step", seq: (this.#seq += 1), ...id, n, ...hashes });
  }

  /** The next thing that an honest worker does with its lease. */
  work(worker: SimWorker): void {
    const { lease } = worker;
    if (lease?.payload?.kind !== "train" || worker.socket === null) return;
    const { from, to, checkpoint_at } = lease.payload;
    const id = { job: lease.job, run: this.run, fence: lease.fence, lineage: lease.lineage ?? 0 };
    const seq = (this.#seq += 1);
    const owed = checkpoint_at.find((step) => step <= worker.at && !this.#stored(step));
    if (owed !== undefined) {
      this.say(worker, { type: "checkpoint", seq, ...id, state: state(owed) });
    } else if (worker.at < to && worker.drawn < blockOf(worker.at + 1)) {
      const n = blockOf(worker.at + 1);
      const status = this.say(worker, { type: "samples", seq, ...id, samples: drawn(n) });
      if (status === "ok" || status === "duplicate") worker.drawn = n;
      else worker.lease = null;
    } else if (worker.at < to) {
      const n = worker.at + 1;
      const prev = n === 1 ? sha("genesis") : honest(n - 1);
      const status = this.say(worker, { type: "step", seq, ...id, n, prev, hash: honest(n), metrics: metrics(4) });
      if (status === "ok" || status === "duplicate") worker.at = n;
      else if (status === "gap") worker.at = from - 1;
      else worker.lease = null;
    } else {
      worker.lease = null;
      const output = { kind: "train" as const, head: to, state_sha256: to === TOTAL ? sha("final") : null };
      const { job, fence, lineage } = lease;
      this.say(worker, { type: "result", seq, job, fence, lineage, output, artifact: null });
    }
  }

  resume(worker: SimWorker): void {
    const { lease } = worker;
    if (lease === null) return;
    const id = { job: lease.job, run: this.run, fence: lease.fence, lineage: lease.lineage ?? 0 };
    this.say(worker, { type: "resume_state", seq: (this.#seq += 1), ...id, state: state(worker.at) });
  }

  progress(worker: SimWorker): void {
    const { lease } = worker;
    if (lease === null) return;
    const tick = { job: lease.job, fence: lease.fence, tick: worker.at + 1, phase: "working" as const };
    this.say(worker, { type: "progress", seq: (this.#seq += 1), jobs: [{ ...tick, done: 0, total: 0 }] });
  }

  #stored(step: number): boolean {
    return this.tables.states.checkpointAt(this.run, step) !== null;
  }

  expected = honest;
}

const drawn = (n: number) => {
  const sha256 = sha(`drawn ${n}`);
  return { source: "student" as const, n, blob: { key: `proj_a/run_x/1/${sha256}`, bytes: 1, sha256 } };
};

const state = (step: number) => {
  const part = { key: `proj_a/run_x/1/${sha(step)}`, bytes: 1, sha256: sha(step) };
  return { step, sha256: sha(step), parameters: 1, files: [{ name: "f", bytes: 1, sha256: sha(step), parts: [part] }] };
};
