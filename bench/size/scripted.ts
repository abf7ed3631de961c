// A worker that computes nothing: it answers each lease at once, or holds it. What is measured beside it is the pool.
import { createHash, randomUUID } from "node:crypto";
import { ToWorker } from "../../src/wire/pool.ts";
import type { Hello, Lease } from "../../src/wire/pool.ts";
import type { Output, Payload } from "../../src/wire/payloads.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

const FACTS = {
  architecture: "scripted",
  layers: 1,
  parameters: 1000,
  vocab_size: 100,
  context_length: 4096,
  layer_indices: null,
  weights_digest: sha256("weights"),
  tokenizer_digest: sha256("tokenizer"),
  template_digest: sha256("template"),
};

function outputOf(payload: Payload): Output {
  if (payload.kind === "prepare") return { kind: "prepare", facts: FACTS };
  if (payload.kind !== "score") throw new Error(`a scripted worker has no answer to ${payload.kind}`);
  const one = { token_ids: [1], token_texts: ["a"], teacher_logprobs: [-1], student_logprobs: [-2] };
  const items = payload.items.map(({ responses }) => responses.map(() => one));
  const responses = items.reduce((total, item) => total + item.length, 0);
  return { kind: "score", items, tokens: responses, teacher_cache: { hits: 0, misses: responses } };
}

export interface Where {
  url: string;
  key: string;
  name: string;
  /** Whether leases are held, and only renewed. */
  holds: boolean;
  requests: number;
}

export class ScriptedWorker {
  readonly boot = randomUUID().replaceAll("-", "");
  readonly held = new Map<string, number>();
  /** Leases that it was told to drop, or cancelled. */
  lost = 0;
  readonly #where: Where;
  #socket: WebSocket | null = null;
  #seq = 0;

  constructor(where: Where) {
    this.#where = where;
  }

  /** Dials, and resolves with the welcome. */
  connect(): Promise<void> {
    const { url, key } = this.#where;
    const socket = new WebSocket(`${url.replace("http", "ws")}/v1/workers/connect`, {
      headers: { authorization: `Bearer ${key}` },
    });
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      socket.addEventListener("open", () => this.#send(this.#hello()));
      socket.addEventListener("error", () => reject(new Error("the pool cannot be dialled")));
      socket.addEventListener("close", ({ code, reason }) => reject(new Error(`closed: ${code} ${reason}`)));
      socket.addEventListener("message", ({ data }) => {
        const frame = ToWorker.parse(JSON.parse(String(data)));
        if (frame.type === "welcome") {
          for (const { job, action } of frame.reconcile) if (action === "drop") this.#drop(job);
          resolve();
        } else if (frame.type === "lease") this.#take(frame);
        else if (frame.type === "cancel") this.#drop(frame.job);
        else if (frame.type === "ack") for (const { job, status } of frame.jobs) if (status !== "ok") this.#drop(job);
      });
    });
  }

  /** Renews what it holds. */
  tick(): void {
    const jobs = [...this.held].map(([job, fence]) => {
      return { job, fence, tick: this.#seq + 1, phase: "working" as const, done: 0, total: 1 };
    });
    this.#send({ type: "progress", jobs });
  }

  close(): void {
    this.#socket?.close();
  }

  #drop(job: string): void {
    if (this.held.delete(job)) this.lost += 1;
  }

  #take({ job, fence, lineage, payload }: Lease): void {
    if (this.#where.holds) {
      this.held.set(job, fence);
      return;
    }
    if (payload === null) throw new Error("a scripted worker reads no blobs");
    this.#send({ type: "result", job, fence, lineage, output: outputOf(payload), artifact: null });
  }

  #hello(): Omit<Hello, "seq"> {
    const fingerprint = {
      torch: "none",
      device: "scripted",
      cpu_capability: "none",
      math: "none",
      threads: 1,
      world_size: 1,
      attention: "none",
      compile: "none",
      engine: 0,
      digest: sha256("scripted"),
    };
    return {
      type: "hello",
      protocol: 2,
      protocol_least: null,
      worker: this.#where.name,
      boot: this.boot,
      capabilities: { kinds: ["prepare", "score"], models: ["scripted"], device: "scripted" },
      fingerprint,
      slots: 1,
      requests: this.#where.requests,
      runs: [],
      leases: [...this.held].map(([job, fence]) => ({ job, fence })),
    };
  }

  #send(frame: object): void {
    this.#seq += 1;
    this.#socket?.send(JSON.stringify({ ...frame, seq: this.#seq }));
  }
}
