// The pool's own worker: it speaks the workers' protocol, without a socket, and has the scorer answer; so fences, leases and
// retries are those of any other. It comes when there is work for it, and goes when there is none.
import { EDGE_IDLE_MS } from "../../config.ts";
import type { Env } from "../../env.ts";
import { getBlob } from "../../store/blobs.ts";
import type { GeneratePayload } from "../../wire/batches.ts";
import { Payload } from "../../wire/payloads.ts";
import { PROTOCOLS } from "../../wire/pool.ts";
import type { Ack, Hello, Lease, ToWorker } from "../../wire/pool.ts";
import type { WorkFrame } from "../frames/index.ts";
import type { Visitor } from "../frames/presence.ts";
import { answerBatch } from "./answer.ts";

/** What the worker tells the pool, decided as if it had come over a socket. */
export interface PoolEnd {
  hello: (visitor: Visitor, hello: Hello) => void;
  /** Null: the pool wants to hear no more of this boot. */
  ask: (boot: string, frame: WorkFrame) => Promise<Ack | null>;
  leave: (boot: string, socket: string) => void;
}

type WithoutSeq<T> = T extends WorkFrame ? Omit<T, "seq"> : never;
type Bindings = Pick<Env, "SCORER" | "BLOBS">;

const FINGERPRINT: Hello["fingerprint"] = {
  torch: "none",
  device: "edge",
  cpu_capability: "wasm simd",
  math: "onnxruntime-web",
  threads: 1,
  world_size: 1,
  attention: "onnxruntime",
  compile: "none",
  engine: 0,
  digest: "0".repeat(64),
};

const hello = (boot: string): Hello => ({
  type: "hello",
  seq: 1,
  protocol: PROTOCOLS.newest,
  protocol_least: null,
  worker: "edge",
  boot,
  capabilities: { kinds: ["generate_edge"], models: [], device: "edge" },
  fingerprint: FINGERPRINT,
  slots: 1,
  requests: 1,
  runs: [],
  leases: [],
});

export class EdgeWorker {
  readonly #env: Bindings;
  readonly #pool: PoolEnd;
  /** While it is there; the socket is a name only. No caller's key can be `edge`: theirs begin with `key_`. */
  #presence: { boot: string; socket: string } | null = null;
  readonly #cancelled = new Set<string>();
  /** Leases in hand and to come, one after another. */
  #work: Promise<void> = Promise.resolve();
  #inHand = 0;
  #seq = 1;
  #idle: ReturnType<typeof setTimeout> | null = null;

  constructor(env: Bindings, pool: PoolEnd) {
    this.#env = env;
    this.#pool = pool;
  }

  get socket(): string | null {
    return this.#presence?.socket ?? null;
  }

  /** Says hello to the pool, unless it is there already. */
  wake(): void {
    if (this.#presence !== null) return;
    const boot = crypto.randomUUID().replaceAll("-", "");
    const socket = crypto.randomUUID();
    this.#presence = { boot, socket };
    this.#cancelled.clear();
    this.#rest();
    this.#pool.hello({ socket, key: "edge", project: "" }, hello(boot));
  }

  /** The pool has closed on it. */
  drop(): void {
    this.#presence = null;
  }

  receive(frame: ToWorker): void {
    if (frame.type === "lease") this.#take(frame);
    else if (frame.type === "cancel") this.#cancelled.add(frame.job);
  }

  /** Leaves in a while, unless a lease comes. */
  #rest(): void {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      if (this.#inHand > 0 || this.#presence === null) return;
      const { boot, socket } = this.#presence;
      this.#presence = null;
      this.#pool.leave(boot, socket);
    }, EDGE_IDLE_MS);
  }

  #take(lease: Lease): void {
    this.#inHand += 1;
    this.#work = this.#work
      .then(() => this.#answer(lease))
      .catch(async (error: unknown) => {
        console.error(JSON.stringify({ event: "edge_failed", job: lease.job, error: String(error) }));
        const why = { code: "scorer_failed", detail: "the scorer ended unexpectedly", retryable: true };
        await this.#fail(lease, why);
      })
      .finally(() => {
        this.#inHand -= 1;
        this.#rest();
      });
  }

  async #payload({ payload, artifact }: Lease): Promise<GeneratePayload> {
    const blob = payload ?? (artifact === null ? null : await this.#stored(artifact.key));
    if (blob?.kind !== "generate") throw new Error(`the edge was leased a ${blob?.kind ?? "job without payload"}`);
    return blob;
  }

  async #stored(key: string): Promise<Payload> {
    return Payload.parse(await new Response(await getBlob(this.#env.BLOBS, key)).json());
  }

  async #answer(lease: Lease): Promise<void> {
    const { job, fence, lineage } = lease;
    const payload = await this.#payload(lease);
    for (const batch of payload.batches) {
      const answered = await answerBatch(this.#env.SCORER, payload, batch, () => this.#report(lease));
      if (answered === null) return;
      if ("code" in answered) {
        await this.#fail(lease, { ...answered, retryable: answered.code === "internal" });
        return;
      }
      const ack = await this.#ask({ type: "items", job, fence, batch: batch.batch, items: answered.items });
      if (ack === null || ack.status === "stale_fence") return;
    }
    const output = { kind: "generate" as const, batches: payload.batches.length };
    await this.#ask({ type: "result", job, fence, lineage, output, artifact: null });
  }

  /** Renews the lease; false where it was cancelled. */
  async #report({ job, fence }: Lease): Promise<boolean> {
    const tick = { job, fence, tick: this.#seq, phase: "working" as const, done: 0, total: 0 };
    await this.#ask({ type: "progress", jobs: [tick] });
    return !this.#cancelled.has(job);
  }

  async #fail(
    { job, fence, lineage }: Lease,
    why: { code: string; detail: string; retryable: boolean },
  ): Promise<void> {
    await this.#ask({ type: "fail", job, fence, lineage, ...why });
  }

  #ask(frame: WithoutSeq<WorkFrame>): Promise<Ack | null> {
    this.#seq += 1;
    const { boot = null } = this.#presence ?? {};
    return boot === null ? Promise.resolve(null) : this.#pool.ask(boot, { ...frame, seq: this.#seq });
  }
}
