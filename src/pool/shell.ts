// The shell around the policy: transactions, sockets, the alarm, callers that wait. Nothing is decided here.
import { ALARM_RETRY_MS, FRAMES_PER_S, MAX_FRAME_BYTES, MAX_HELLO_BYTES, RESTART_GRACE_MS } from "../config.ts";
import type { Env } from "../env.ts";
import type { Settle } from "../store/outbox.ts";
import type { Ack, Lease, ToWorker } from "../wire/pool.ts";
import { allStored } from "./blobs.ts";
import { collectGarbage, drainOutbox } from "./chores.ts";
import { dispatch, fingerprintWaitMs } from "./dispatch.ts";
import { EdgeWorker } from "./edge/worker.ts";
import { expire } from "./expire.ts";
import { onClosed, onHello } from "./frames/presence.ts";
import { decideFrom } from "./frames/index.ts";
import type { Decision, WorkFrame } from "./frames/index.ts";
import { giveBackUnstored, offload, oversize, sendStored } from "./offload.ts";
import { attachmentOf, closeSocket, readFrame, sendFrame } from "./sockets.ts";
import type { Attachment } from "./sockets.ts";
import { Overview } from "./overview.ts";
import { Pace } from "./pace.ts";
import { Passes } from "./passes.ts";
import { recordChanged } from "./record.ts";
import { openTables } from "./tables/index.ts";
import type { Tables } from "./tables/index.ts";
import { Turn } from "./turn.ts";
import { Waiters } from "./waiters.ts";
import type { Wanted } from "./waiters.ts";

/** Workers whose sockets are looked at when the object begins: where one is lost, all are. */
const LOOKED_AT = 3;

/** The close code of a socket that sends too much. */
const TOO_MANY_FRAMES = 4029;

export class Shell {
  readonly #ctx: DurableObjectState;
  readonly #env: Env;
  readonly #settle: Settle<Env>;
  readonly #tables: Tables;
  readonly #waiters = new Waiters();
  readonly #pace = new Pace();
  readonly #edge: EdgeWorker;
  readonly #fingerprintWaitMs: number;
  /** Frames of one socket are decided in the order in which they came. */
  readonly #queues = new Map<string, Promise<void>>();
  readonly #overview = new Overview();
  /** When the object began, if its workers have lost their sockets by that. */
  readonly #since: number;
  readonly #passes: Passes;
  #ringing: Promise<void> = Promise.resolve();
  /** What the alarm is set to, as far as this instance knows. */
  #armed: number | null = null;

  constructor(ctx: DurableObjectState, env: Env, settle: Settle<Env>) {
    this.#ctx = ctx;
    this.#env = env;
    this.#settle = settle;
    this.#tables = openTables(ctx.storage);
    this.#fingerprintWaitMs = fingerprintWaitMs(env);
    this.#edge = new EdgeWorker(env, {
      hello: (visitor, hello) => this.turn((turn) => onHello(turn, visitor, hello)),
      ask: (boot, frame) => this.#own(boot, frame),
      leave: (boot, socket) => this.turn((turn) => onClosed(turn, boot, socket)),
    });
    this.#passes = new Passes(
      () => this.#pass(),
      () => {
        if (this.#edge.socket === null && this.#overview.edgeWaits) this.#edge.wake();
      },
    );
    this.#since = this.#lostSockets() ? Date.now() : -Infinity;
    void this.#passes.want();
  }

  /** Whether a crash or a deploy has ended sockets: it ends all of them, and tells nobody. */
  #lostSockets(): boolean {
    const some = this.#tables.workers.connectedAfter("", LOOKED_AT);
    return some.some(({ socket }) => !this.#isOpen(socket));
  }

  /** By its tag: a pool of many sockets is not read whole for one of them. */
  #find(socket: string): WebSocket | undefined {
    return this.#ctx.getWebSockets(socket)[0];
  }

  #isOpen(socket: string | null): boolean {
    return socket !== null && (socket === this.#edge.socket || this.#find(socket) !== undefined);
  }

  /** One turn: `change` in a transaction; frames leave once it is committed. */
  turn<T>(change: (turn: Turn) => T, answerTo?: { ws: WebSocket; frame: (value: T) => ToWorker | null }): T {
    const tables = this.#tables;
    tables.meter.reset();
    const transaction = <R>(work: () => R): R => this.#ctx.storage.transactionSync(work);
    const turn = new Turn({
      now: Date.now(),
      tables,
      overview: this.#overview,
      since: this.#since,
      fingerprintWaitMs: this.#fingerprintWaitMs,
      transaction,
      isOpen: (socket) => this.#isOpen(socket),
    });
    let value: T;
    try {
      value = transaction(() => {
        const result = change(turn);
        recordChanged(turn);
        return result;
      });
    } catch (error) {
      tables.forget();
      this.#overview.forget();
      throw error;
    }
    const own = answerTo?.frame(value) ?? null;
    if (answerTo !== undefined && own !== null) sendFrame(answerTo.ws, own);
    this.#flush(turn);
    if (turn.dispatch) void this.#passes.want();
    this.#arm();
    if (tables.meter.over) console.warn(JSON.stringify({ event: "pool_turn_over", ...tables.meter.spent }));
    return value;
  }

  /** What the clock has brought about, then a scheduling pass. Whether another must follow. */
  #pass(): boolean {
    try {
      const overdue = this.turn((turn) => {
        const more = expire(turn);
        // what follows is a pass
        turn.dispatch = false;
        return more;
      });
      const more = this.turn((turn) => dispatch(turn));
      return overdue || more;
    } catch (error) {
      console.error(JSON.stringify({ event: "pool_pass_failed", error: String(error) }));
      this.#ringAt(Date.now() + ALARM_RETRY_MS);
      return false;
    }
  }

  /** The same for a caller over RPC. */
  ask<T>(change: (turn: Turn) => T): Promise<T> {
    return new Promise((resolve) => resolve(this.turn(change)));
  }

  #flush(turn: Turn): void {
    this.#waiters.notify(turn.changed);
    for (const { boot, frame } of turn.sends) {
      const socket = this.#tables.workers.socketOf(boot) ?? "";
      const ws = this.#find(socket);
      const large = frame.type === "lease" ? oversize(frame) : null;
      if (frame.type === "lease" && large !== null) void this.#sendLarge(boot, frame, large);
      else if (ws !== undefined) sendFrame(ws, frame);
      else if (socket === this.#edge.socket) this.#edge.receive(frame);
    }
    for (const { socket, code, reason } of turn.closes) {
      const ws = this.#find(socket);
      if (ws !== undefined) closeSocket(ws, code, reason);
      else if (socket === this.#edge.socket) this.#edge.drop();
    }
  }

  /** The lease may be over by the time its payload is stored: then nothing is sent. */
  async #sendLarge(boot: string, lease: Lease, payload: Uint8Array): Promise<void> {
    try {
      const frame = await offload(this.#env.BLOBS, lease, payload);
      this.turn((turn) => sendStored(turn, boot, frame));
    } catch (error) {
      console.error(JSON.stringify({ event: "pool_payload_failed", job: lease.job, error: String(error) }));
      this.turn((turn) => giveBackUnstored(turn, boot, lease));
    }
  }

  #arm(): void {
    const { due, leases } = this.#tables;
    const ends = Math.max(leases.next() ?? Infinity, this.#since + RESTART_GRACE_MS);
    const at = Math.min(due.next() ?? Infinity, ends);
    if (at < Infinity && (this.#armed === null || this.#armed > at)) this.#ringAt(at);
  }

  #ringAt(time: number): void {
    this.#armed = time;
    void this.#ctx.storage.setAlarm(time);
  }

  wait<T>(wanted: Wanted<T>): Promise<T> {
    return this.#waiters.wait(wanted);
  }

  receive(ws: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const { socket } = attachmentOf(ws);
    const size = typeof message === "string" ? message.length : message.byteLength;
    const pace = this.#pace.take(socket, size, Date.now());
    if (pace === "over") this.#drop(ws, TOO_MANY_FRAMES, `more than ${FRAMES_PER_S} frames a second`);
    if (pace !== "ok") return Promise.resolve();
    const before = this.#queues.get(socket) ?? Promise.resolve();
    const mine = before.then(() => this.#receive(ws, message));
    this.#queues.set(socket, mine);
    return mine.finally(() => {
      if (this.#queues.get(socket) === mine) this.#queues.delete(socket);
    });
  }

  async #receive(ws: WebSocket, message: string | ArrayBuffer): Promise<void> {
    try {
      const incoming = readFrame(message, attachmentOf(ws).boot === null ? MAX_HELLO_BYTES : MAX_FRAME_BYTES);
      if ("code" in incoming) {
        this.#drop(ws, incoming.code, incoming.reason);
        return;
      }
      const { frame } = incoming;
      const attachment = attachmentOf(ws);
      if (frame.type === "hello") this.#hello(ws, attachment, frame);
      else if (attachment.boot === null) this.#drop(ws, 1008, "say hello first");
      else await this.#work(ws, attachment.boot, attachment.socket, frame);
    } catch (error) {
      console.error(JSON.stringify({ event: "pool_frame_failed", error: String(error) }));
      this.#drop(ws, 1011, "internal error; connect again");
    }
  }

  #hello(ws: WebSocket, attachment: Attachment, hello: Parameters<typeof onHello>[2]): void {
    ws.serializeAttachment({ ...attachment, boot: hello.boot });
    const answer = this.turn((turn) => onHello(turn, attachment, hello), {
      ws,
      frame: (value) => ("violation" in value ? null : value),
    });
    if (!("violation" in answer)) return;
    ws.serializeAttachment(attachment);
    closeSocket(ws, 1008, answer.violation);
  }

  async #work(ws: WebSocket, boot: string, socket: string, frame: WorkFrame): Promise<void> {
    const answerTo = { ws, frame: (value: Decision) => ("ack" in value ? value.ack : null) };
    const decideWith = (stored: boolean | null): Decision =>
      this.turn((turn) => decideFrom(turn, { boot, socket }, frame, stored), answerTo);
    let decision = decideWith(null);
    if ("prefix" in decision) {
      // The fence is checked again after this wait, in the transaction that moves the pointer.
      decision = decideWith(await allStored(this.#env.BLOBS, decision.prefix, decision.blobs));
    }
    if ("violation" in decision) this.#drop(ws, 1008, decision.violation);
  }

  /** A frame of the pool's own worker, which names no blobs. */
  #own(boot: string, frame: WorkFrame): Promise<Ack | null> {
    const socket = this.#edge.socket ?? "";
    const decision = this.turn((turn) => decideFrom(turn, { boot, socket }, frame, null));
    return Promise.resolve("ack" in decision ? decision.ack : null);
  }

  /** Closes a socket from this side; its close event may never come. */
  #drop(ws: WebSocket, code: number, reason: string): void {
    closeSocket(ws, code, reason);
    this.closed(ws);
  }

  /** The runtime's last word of a socket. */
  ended(ws: WebSocket): void {
    this.#pace.forget(attachmentOf(ws).socket);
    this.closed(ws);
  }

  closed(ws: WebSocket): void {
    const { boot, socket } = attachmentOf(ws);
    if (boot !== null) this.turn((turn) => onClosed(turn, boot, socket));
  }

  /** One after another, whoever rings. */
  alarm(): Promise<void> {
    this.#ringing = this.#ringing.then(() => this.#ring());
    return this.#ringing;
  }

  /** Never throws: an alarm that fails too often is given up by the runtime. */
  async #ring(): Promise<void> {
    // The runtime calls again if this call does not end: no other alarm is needed meanwhile.
    this.#armed = 0;
    try {
      await this.#passes.want();
      await drainOutbox(this.#tables, (entry) => this.#settle(this.#env, entry));
      await collectGarbage(this.#tables, this.#env.BLOBS);
    } catch (error) {
      console.error(JSON.stringify({ event: "pool_alarm_failed", error: String(error) }));
      const at = Date.now() + ALARM_RETRY_MS;
      this.#armed = at;
      await this.#ctx.storage.setAlarm(at);
      return;
    }
    this.#armed = null;
    this.#arm();
  }
}
