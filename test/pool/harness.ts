// A scripted worker over a real WebSocket, a pool of its own for each test, and a clock that tests move.
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { SubmitEvaluation, SubmitJob, SubmitRun, TakeStepsRequest } from "../../src/pool/api.ts";
import type { PoolStub } from "../../src/env.ts";
import { CreateRun } from "../../src/wire/runs.ts";
import { ToWorker } from "../../src/wire/pool.ts";
import type { Ack, Fingerprint, FromWorker, Hello, Lease } from "../../src/wire/pool.ts";
import type { ModelRef } from "../../src/wire/models.ts";
import type { StepMetrics, StoredState } from "../../src/wire/runs.ts";
import type { ScorePayload } from "../../src/wire/payloads.ts";

export const PROJECT = "proj_a";
export const sha = (label: string | number): string =>
  [...String(label)]
    .map((c) => c.charCodeAt(0).toString(16).padStart(2, "0"))
    .join("")
    .padStart(64, "0")
    .slice(-64);

export const stepHash = (n: number, salt = ""): string => sha(`step ${n}${salt}`);
export const stepPrev = (n: number): string => (n === 1 ? sha("genesis") : stepHash(n - 1));

let counter = 0;
export const unique = (prefix: string): string =>
  `${prefix}_${(counter += 1)}x${Math.random().toString(36).slice(2, 8)}`;

export type Stub = PoolStub & DurableObjectStub;

export function freshPool(): Stub {
  return env.POOL.get(env.POOL.idFromName(unique("pool")));
}

/** The clock of test and pool alike: both run in one isolate. */
export const clock = {
  start: () => vi.useFakeTimers({ toFake: ["Date"], now: Date.now() }),
  pass: (ms: number) => vi.setSystemTime(Date.now() + ms),
  stop: () => vi.useRealTimers(),
};

/** Lets time pass and rings the pool's alarm. */
export async function later(pool: Stub, ms: number): Promise<void> {
  clock.pass(ms);
  await runDurableObjectAlarm(pool);
}

export async function sql<T>(pool: Stub, query: string, ...params: (string | number | null)[]): Promise<T[]> {
  return runInDurableObject(pool, (_instance, state) => state.storage.sql.exec(query, ...params).toArray() as T[]);
}

export function fingerprint(name = "f1"): Fingerprint {
  const rest = { torch: "2.13.0", device: "cpu", cpu_capability: "AVX2", math: "mkl", threads: 2, world_size: 1 };
  return { ...rest, attention: "sdpa", compile: "none", digest: sha(name) };
}

type Body<T> = T extends FromWorker ? Omit<T, "seq"> : never;

interface Options {
  boot?: string;
  key?: string;
  project?: string;
  fingerprint?: string;
  kinds?: Hello["capabilities"]["kinds"];
  models?: string[];
  slots?: number;
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
    const seq = this.post({
      type: "hello",
      protocol: 1,
      worker: "w",
      boot: this.boot,
      capabilities: {
        kinds: options.kinds ?? ["prepare", "score", "compare", "generate", "train"],
        models: options.models ?? ["tiny"],
        device: "cpu",
      },
      fingerprint: fingerprint(options.fingerprint),
      slots: options.slots ?? 1,
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

  async next(wanted: (frame: ToWorker) => boolean, ms = 3000): Promise<ToWorker> {
    const until = performance.now() + ms;
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

  async until(condition: () => boolean, ms = 3000): Promise<void> {
    const end = performance.now() + ms;
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

export function model(name = "tiny"): ModelRef {
  return { model: `model_${name}`, base: { type: "local", name }, layer_indices: null, weights_digest: null };
}

export function scorePayload(name = "tiny"): ScorePayload {
  const items = [{ prompt: "hello", responses: ["a"] }];
  return { kind: "score", teacher: model(name), student: model(name), template: "chat", items };
}

export function scoreJob(changes: Partial<SubmitJob> = {}): SubmitJob {
  const id = unique("job");
  const base = { id, project: PROJECT, digest: sha(id), subject: null, request: { ask: id }, artifact: null, cost: 10 };
  return { ...base, payload: scorePayload(), ...changes };
}

export const scoreOutput = { kind: "score" as const, items: [], tokens: 7 };

export function runSubmit(
  changes: { total?: number; every?: number | null; id?: string; project?: string } = {},
): SubmitRun {
  const id = changes.id ?? unique("run");
  const project = changes.project ?? PROJECT;
  const checkpoint_every = changes.every ?? null;
  const request = CreateRun.parse({
    name: "r",
    teacher: "teacher",
    student: { model: "tiny" },
    dataset: "d",
    objective: { type: "dpkd" },
    optimizer: { total_steps: changes.total ?? 10 },
    checkpoint_every,
  });
  const data = {
    dataset: "ds_1",
    split: "train",
    rows: 4,
    blob: { key: `${project}/ds_1/1/${sha("data")}`, bytes: 3, sha256: sha("data") },
  };
  const { objective, optimizer, batch_size, dtype, seed, template, max_prompt_length, max_length } = request;
  const settings = { objective, optimizer, batch_size, dtype, seed, template, max_prompt_length, max_length };
  const spec = { teacher: model(), student: model(), data, checkpoint_every, ...settings };
  return { id, project, digest: sha(id), request, spec };
}

export function steps(
  run: string,
  ask: TakeStepsRequest["ask"],
  changes: Partial<TakeStepsRequest> = {},
): TakeStepsRequest {
  const job = unique("job");
  return { job, project: PROJECT, run, digest: sha(job), ask, ...changes };
}

export function evaluationSubmit(sizes: number[], changes: Partial<SubmitEvaluation> = {}): SubmitEvaluation {
  const id = unique("ev");
  const generation = { max_new_tokens: 8, temperature: 0, top_p: 1, top_k: 0, stop: [], seeds: [10] };
  const batches = sizes.map((size, batch) => ({
    batch,
    items: Array.from({ length: size }, (_, index) => ({ item: `row-${batch}-${index}`, seed: 10, prompt: "hi" })),
  }));
  const n = sizes.reduce((sum, size) => sum + size, 0);
  const job = unique("job");
  return {
    id,
    job,
    project: PROJECT,
    digest: sha(id),
    identity: null,
    evaluation: {
      id,
      object: "evaluation",
      created_at: new Date().toISOString(),
      status: "queued",
      model: "model_tiny",
      model_name: null,
      dataset: "ds_1",
      split: "test",
      template: "chat",
      generation,
      limit: null,
      n,
      done: 0,
      metrics: null,
      job,
      error: null,
    },
    payload: { kind: "generate", evaluation: id, model: model(), template: "chat", generation },
    batches,
    cost: 100,
    ...changes,
  };
}

export const metrics = (seconds = 0.5): StepMetrics => ({
  loss: 1,
  "loss/lm": null,
  "loss/distill": null,
  "margin/token_mean": null,
  argmax_agreement: null,
  "rewards/chosen": null,
  "rewards/rejected": null,
  "rewards/margins": null,
  "rewards/accuracies": null,
  grad_norm: 1,
  learning_rate: 1e-4,
  tokens: 5,
  tokens_per_second: 10,
  seconds,
});

/** Puts the bytes into R2 as a worker's upload would, and names them. */
export async function upload(lease: Lease, run: string, step: number, label = ""): Promise<StoredState> {
  const sha256 = sha(`${run.slice(-6)} ${step}${label}`);
  const key = `${lease.project}/${run}/${lease.fence}/${sha256}`;
  await env.BLOBS.put(key, "data");
  const part = { key, bytes: 4, sha256 };
  return { step, sha256, parameters: 1, files: [{ name: "model.safetensors", bytes: 4, sha256, parts: [part] }] };
}

/** What a worker does with a train lease: its steps, then the checkpoints it was asked for, then the result. */
export class Trainer {
  readonly worker: FakeWorker;
  readonly lease: Lease;

  constructor(worker: FakeWorker, lease: Lease) {
    this.worker = worker;
    this.lease = lease;
  }

  get payload() {
    const { payload } = this.lease;
    if (payload?.kind !== "train") throw new Error("not a train lease");
    return payload;
  }

  get id() {
    const { job, fence, lineage } = this.lease;
    return { job, run: this.payload.run, fence, lineage: lineage ?? -1 };
  }

  step(n: number, changes: { hash?: string; prev?: string; fence?: number; lineage?: number; seconds?: number } = {}) {
    const { seconds, ...rest } = changes;
    const hashes = { prev: stepPrev(n), hash: stepHash(n), metrics: metrics(seconds ?? 5) };
    return this.worker.ask({ type: "step", ...this.id, n, ...hashes, ...rest });
  }

  async checkpoint(step: number, label = ""): Promise<Ack> {
    const state = await upload(this.lease, this.payload.run, step, label);
    return this.worker.ask({ type: "checkpoint", ...this.id, state });
  }

  async resume(step: number): Promise<Ack> {
    const state = await upload(this.lease, this.payload.run, step, " resume");
    return this.worker.ask({ type: "resume_state", ...this.id, state });
  }

  result(head: number, state: string | null = null): Promise<Ack> {
    const { job, fence, lineage } = this.lease;
    const output = { kind: "train" as const, head, state_sha256: state };
    return this.worker.ask({ type: "result", job, fence, lineage, output, artifact: null });
  }

  /** The whole span, as an honest worker does it. */
  async honest(): Promise<void> {
    const { from, to, checkpoint_at, spec } = this.payload;
    if (checkpoint_at.includes(from - 1)) await this.checkpoint(from - 1);
    for (let n = from; n <= to; n += 1) {
      await this.step(n);
      if (checkpoint_at.includes(n)) await this.checkpoint(n);
    }
    await this.result(to, to === spec.optimizer.total_steps ? sha("state") : null);
  }
}

/** Trains until no lease comes any more. */
export async function trainAll(worker: FakeWorker, done: () => Promise<boolean>): Promise<Lease[]> {
  const leases: Lease[] = [];
  while (!(await done())) {
    const lease = await worker.lease();
    leases.push(lease);
    await new Trainer(worker, lease).honest();
  }
  return leases;
}
