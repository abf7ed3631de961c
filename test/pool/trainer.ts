// What a worker does with a lease of a run.
import type { Ack, Lease } from "../../src/wire/pool.ts";
import type { SamplesRef } from "../../src/wire/samples.ts";
import { FakeWorker } from "./fake-worker.ts";
import { draw, metrics, runSubmit, sha, stepHash, stepPrev, steps, upload } from "./fixtures.ts";
import { freshPool, sql } from "./harness.ts";
import type { Stub } from "./harness.ts";

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

  async samples(n: number, changes: Parameters<typeof draw>[3] = {}): Promise<Ack> {
    return this.journal(await draw(this.lease, this.payload.run, n, changes));
  }

  journal(samples: SamplesRef, changes: { fence?: number; lineage?: number } = {}): Promise<Ack> {
    return this.worker.ask({ type: "samples", ...this.id, samples, ...changes });
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

interface Begun {
  pool: Stub;
  run: string;
  job: string;
  worker: FakeWorker;
  trainer: Trainer;
}

/** A run of ten steps asked to `to`, its first lease with a worker. */
export async function begin(
  options: { to?: number; total?: number; every?: number | null; evaluate?: number } = {},
): Promise<Begun> {
  const pool = freshPool();
  const submit = runSubmit({ ...options, total: options.total ?? 10 });
  await pool.submitRun(submit);
  const ask = steps(submit.id, { to: options.to ?? options.total ?? 10 });
  await pool.takeSteps(ask);
  const worker = await FakeWorker.connect(pool);
  return { pool, run: submit.id, job: ask.job, worker, trainer: new Trainer(worker, await worker.lease()) };
}

export const lastLease = async (worker: FakeWorker): Promise<Trainer> => new Trainer(worker, await worker.lease());

/** The journal that counts, in order. */
export async function chain(pool: Stub, run: string) {
  return sql<{ n: number; lineage: number; prev: string; hash: string }>(
    pool,
    "SELECT n, lineage, prev, hash FROM steps WHERE run = ? AND superseded = 0 ORDER BY n",
    run,
  );
}
