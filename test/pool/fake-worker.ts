// A scripted worker over a real WebSocket.
import { JobKind } from "../../src/wire/payloads.ts";
import { PROTOCOLS, ToWorker } from "../../src/wire/pool.ts";
import type { FromWorker, Hello, Ack, Lease } from "../../src/wire/pool.ts";
import { fingerprint } from "./fixtures.ts";
import type { Stub } from "./harness.ts";
import { sql } from "./harness.ts";

/** Nothing but a hang takes this long, ms. */
const HANG_MS = 30_000;

type Body<T> = T extends FromWorker ? Omit<T, "seq"> : never;

interface Options {
  boot?: string;
  key?: string;
  project?: string;
  fingerprint?: string;
  kinds?: Hello["capabilities"]["kinds"];
  models?: string[];
  /** By default a machine of its own. */
  name?: string;
  engine?: number;
  /** The oldest and the newest that it speaks. */
  protocols?: [number, number];
  slots?: number;
  requests?: number;
  runs?: Hello["runs"];
  leases?: Hello["leases"];
}

export const newBoot = (): string => crypto.randomUUID().replaceAll("-", "");

export class FakeWorker {
  readonly boot: string;
  readonly frames: ToWorker[] = [];
  closed: { code: number; reason: string } | null = null;
  readonly #ws: WebSocket;
  readonly #taken = new Set<ToWorker>();
  #seq = 0;
  #wake: (() => void)[] = [];

  private constructor(ws: WebSocket, boot: string) {
    this.#ws = ws;
    this.boot = boot;
    ws.accept();
    ws.addEventListener("message", (event) => {
      this.frames.push(ToWorker.parse(JSON.parse(String(event.data))));
      this.#ring();
    });
    ws.addEventListener("close", (event) => {
      this.closed = { code: event.code, reason: event.reason };
      this.#ring();
    });
  }

  static async dial(pool: Stub, options: Options = {}): Promise<FakeWorker> {
    const headers = {
      upgrade: "websocket",
      "x-understudy-key": options.key ?? "key_1",
      "x-understudy-project": options.project ?? "",
    };
    const response = await pool.fetch(new Request("http://pool/connect", { headers }));
    if (response.webSocket === null) throw new Error(`no socket: ${response.status}`);
    return new FakeWorker(response.webSocket, options.boot ?? newBoot());
  }

  static async connect(pool: Stub, options: Options = {}): Promise<FakeWorker> {
    const worker = await FakeWorker.dial(pool, options);
    await worker.hello(options);
    return worker;
  }

  async hello(options: Options = {}): Promise<Extract<ToWorker, { type: "welcome" }>> {
    const [least, newest] = options.protocols ?? [PROTOCOLS.newest, PROTOCOLS.newest];
    const seq = this.post({
      type: "hello",
      protocol: newest,
      protocol_least: least,
      worker: options.name ?? `w-${this.boot.slice(0, 8)}`,
      boot: this.boot,
      capabilities: {
        kinds: options.kinds ?? JobKind.options,
        models: options.models ?? ["tiny"],
        device: "cpu",
      },
      fingerprint: fingerprint(options.fingerprint, options.engine),
      slots: options.slots ?? 1,
      requests: options.requests ?? 1,
      runs: options.runs ?? [],
      leases: options.leases ?? [],
    });
    const frame = await this.next((other) => other.type === "welcome" && other.re === seq);
    if (frame.type !== "welcome") throw new Error("no welcome");
    return frame;
  }

  /** Sends a frame without waiting; returns its seq. */
  post(body: Body<FromWorker>): number {
    this.#seq += 1;
    this.#ws.send(JSON.stringify({ ...body, seq: this.#seq }));
    return this.#seq;
  }

  raw(data: string | ArrayBuffer): void {
    this.#ws.send(data);
  }

  async ask(body: Body<FromWorker>): Promise<Ack> {
    const seq = this.post(body);
    const ack = await this.next((frame) => frame.type === "ack" && frame.re === seq);
    if (ack.type !== "ack") throw new Error("no ack");
    return ack;
  }

  async next(wanted: (frame: ToWorker) => boolean): Promise<ToWorker> {
    const until = performance.now() + HANG_MS;
    for (;;) {
      const frame = this.frames.find((candidate) => !this.#taken.has(candidate) && wanted(candidate));
      if (frame !== undefined) {
        this.#taken.add(frame);
        return frame;
      }
      if (this.closed !== null) throw new Error(`closed ${this.closed.code} ${this.closed.reason}`);
      if (performance.now() > until) throw new Error(`nothing came; frames: ${JSON.stringify(this.frames)}`);
      await this.#ringing(50);
    }
  }

  async lease(): Promise<Lease> {
    const frame = await this.next((candidate) => candidate.type === "lease");
    if (frame.type !== "lease") throw new Error("no lease");
    return frame;
  }

  async until(condition: () => boolean): Promise<void> {
    const end = performance.now() + HANG_MS;
    while (!condition()) {
      if (performance.now() > end) throw new Error("it did not come about");
      await this.#ringing(20);
    }
  }

  /** Leases received and not yet taken. */
  get offered(): number {
    return this.frames.filter((frame) => frame.type === "lease" && !this.#taken.has(frame)).length;
  }

  close(): void {
    this.#ws.close(1000, "bye");
  }

  /** Closes the socket, as a killed process would, and waits until the pool has noticed. */
  async vanish(pool: Stub): Promise<void> {
    this.close();
    const noticed = async (): Promise<boolean> =>
      (await sql(pool, "SELECT 1 FROM workers WHERE boot = ? AND socket IS NULL", this.boot)).length > 0;
    while (!(await noticed())) await this.#ringing(5);
  }

  #ring(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  #ringing(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
