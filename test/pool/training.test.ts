// A run over real sockets: spans, the journal's order, checkpoints, recovery, lineages.
import { evictDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FINGERPRINT_WAIT_MS } from "../../src/config.ts";
import type { Lease } from "../../src/wire/pool.ts";
import {
  FakeWorker,
  PROJECT,
  Trainer,
  clock,
  freshPool,
  later,
  newBoot,
  runSubmit,
  sha,
  sql,
  stepHash,
  stepPrev,
  steps,
  trainAll,
} from "./harness.ts";
import type { Stub } from "./harness.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

interface Begun {
  pool: Stub;
  run: string;
  job: string;
  worker: FakeWorker;
  trainer: Trainer;
}

/** A run of ten steps asked to `to`, its first lease with a worker. */
async function begin(options: { to?: number; total?: number; every?: number | null } = {}): Promise<Begun> {
  const pool = freshPool();
  const submit = runSubmit({ total: options.total ?? 10, every: options.every ?? null });
  await pool.submitRun(submit);
  const ask = steps(submit.id, { to: options.to ?? options.total ?? 10 });
  expect(await pool.takeSteps(ask)).toMatchObject({ ok: true });
  const worker = await FakeWorker.connect(pool);
  return { pool, run: submit.id, job: ask.job, worker, trainer: new Trainer(worker, await worker.lease()) };
}

const lastLease = async (worker: FakeWorker): Promise<Trainer> => new Trainer(worker, await worker.lease());

async function chain(pool: Stub, run: string) {
  return sql<{ n: number; lineage: number; prev: string; hash: string }>(
    pool,
    "SELECT n, lineage, prev, hash FROM steps WHERE run = ? AND superseded = 0 ORDER BY n",
    run,
  );
}

describe("a run without faults", () => {
  test("goes in spans under one fence to a completed run", async () => {
    const { pool, run, job, worker, trainer } = await begin({ total: 5, every: 2 });
    expect(trainer.lease).toMatchObject({ fence: 1, lineage: 0, attempt: 1 });
    expect(trainer.payload).toMatchObject({
      from: 1,
      to: 1,
      head_hash: null,
      resume: null,
      hashes: [],
      checkpoint_at: [],
    });
    await trainer.honest();
    const spans = await trainAll(worker, async () => (await pool.getRun(PROJECT, run))?.status === "completed");
    // Steps of five seconds: two fit into a span of ten.
    const told = spans.map((lease) => {
      const { payload } = new Trainer(worker, lease);
      return {
        fence: lease.fence,
        attempt: lease.attempt,
        from: payload.from,
        to: payload.to,
        at: payload.checkpoint_at,
      };
    });
    expect(told).toEqual([
      { fence: 1, attempt: 1, from: 2, to: 3, at: [2] },
      { fence: 1, attempt: 1, from: 4, to: 5, at: [4, 5] },
    ]);
    const view = await pool.getRun(PROJECT, run);
    expect(view).toMatchObject({ head: 5, target: 5, head_hash: stepHash(5), state_sha256: sha("state"), lineage: 0 });
    expect(await pool.getJob(PROJECT, job)).toMatchObject({
      status: "completed",
      attempts: 1,
      output: { kind: "train", head: 5, state_sha256: sha("state") },
    });
    expect((await pool.getCheckpoint(PROJECT, run, "4"))?.checkpoint).toMatchObject({ id: `${run}@4`, step: 4 });
    const page = await pool.events(PROJECT, run, 0, 0);
    expect(page?.ended).toBe(true);
    expect(page?.events.map((event) => event.type)).toEqual([
      ...["status", "status", "status", "step", "step", "checkpoint", "step"],
      ...["step", "checkpoint", "step", "checkpoint", "status"],
    ]);
    expect(page?.events.map((event) => event.sequence)).toEqual([...Array(12).keys()].map((index) => index + 1));
    worker.close();
  });

  test("is ready between jobs, and a step already asked for is replayed", async () => {
    const { pool, run, worker, trainer } = await begin({ to: 1 });
    expect((await pool.getRun(PROJECT, run))?.status).toBe("running");
    await trainer.honest();
    expect(await pool.getRun(PROJECT, run)).toMatchObject({ status: "ready", head: 1, target: 1 });
    const again = await pool.takeSteps(steps(run, { to: 1 }));
    expect(again).toMatchObject({ ok: true, value: { replayed: true, resource: { status: "completed" } } });
    const counted = await pool.takeSteps(steps(run, { count: 2 }));
    expect(counted).toMatchObject({ ok: true, value: { replayed: false, resource: { request: { count: 2 } } } });
    expect(await pool.getRun(PROJECT, run)).toMatchObject({ target: 3 });
    worker.close();
  });

  test("a checkpoint asked for between steps", async () => {
    const { pool, run, worker, trainer } = await begin({ to: 1 });
    await trainer.honest();
    const ask = steps(run, { checkpoint: true });
    await pool.takeSteps(ask);
    const next = await lastLease(worker);
    expect(next.payload).toMatchObject({ from: 2, to: 1, head_hash: stepHash(1), checkpoint_at: [1] });
    await next.honest();
    expect(await pool.getJob(PROJECT, ask.job)).toMatchObject({ status: "completed" });
    const stored = await pool.getCheckpoint(PROJECT, run, "1");
    expect(stored?.checkpoint.files[0]?.href).toBe(`/v1/runs/${run}/checkpoints/1/files/model.safetensors`);
    expect(await pool.getCheckpoint(PROJECT, run, "1.1")).toBeNull();
    expect(await pool.getCheckpoint("proj_b", run, "1")).toBeNull();
    worker.close();
  });
});

describe("the journal", () => {
  test.each([
    ["the next step", 2, {}, "ok", 2],
    ["the same step again", 1, {}, "duplicate", 1],
    ["the same step with another hash", 1, { hash: sha("other") }, "diverged", 1],
    ["a step too far", 3, {}, "gap", 1],
    ["another past", 2, { prev: sha("other") }, "gap", 1],
    ["a stale fence", 2, { fence: 9 }, "stale_fence", 1],
    ["a stale fence, before the row is looked at", 1, { fence: 9, hash: sha("other") }, "stale_fence", 1],
    ["a stale lineage", 2, { lineage: 1 }, "stale_fence", 1],
  ])("%s", async (_name, n, changes, status, head) => {
    const { pool, run, worker, trainer } = await begin();
    await trainer.step(1);
    await trainer.result(1);
    const next = await lastLease(worker);
    const before = await chain(pool, run);
    const ack = await next.step(n, changes);
    expect(ack.status).toBe(status);
    expect(ack.head).toBe(status === "gap" ? 1 : null);
    expect((await pool.getRun(PROJECT, run))?.head).toBe(head);
    if (status !== "ok") expect(await chain(pool, run)).toEqual(before);
    worker.close();
  });

  test("rows are reported once, and must agree", async () => {
    const { pool, run, worker, trainer } = await begin();
    const rows = { kept: 3, skipped: 1, skipped_examples: [], digest: sha("rows") };
    const report = { type: "rows" as const, ...trainer.id, rows };
    expect((await worker.ask({ ...report, fence: 8 })).status).toBe("stale_fence");
    expect((await worker.ask(report)).status).toBe("ok");
    expect((await worker.ask(report)).status).toBe("duplicate");
    expect(await pool.getRun(PROJECT, run)).toMatchObject({ rows, rows_skipped: 1 });
    expect((await worker.ask({ ...report, rows: { ...rows, digest: sha("others") } })).status).toBe("diverged");
    worker.close();
  });

  test("out of memory: smaller parameters from that step on, in the next lease", async () => {
    const { pool, run, worker, trainer } = await begin();
    await trainer.step(1);
    const oom = { type: "oom" as const, ...trainer.id, n: 2, rows: 8, tokens: 800 };
    expect((await worker.ask({ ...oom, n: 3 })).status).toBe("gap");
    expect((await worker.ask(oom)).status).toBe("ok");
    await trainer.result(1);
    const next = await lastLease(worker);
    expect(next.payload.plan).toEqual([
      { from: 1, micro_batch_tokens: null, head_chunk: 256 },
      { from: 2, micro_batch_tokens: 400, head_chunk: 256 },
    ]);
    for (const head_chunk of [128, 64, 32, 16]) {
      expect((await worker.ask({ ...oom, rows: 1 })).status).toBe("ok");
      expect((await sql<{ plan: string }>(pool, "SELECT plan FROM runs"))[0]?.plan).toContain(
        `"head_chunk":${head_chunk}`,
      );
    }
    expect((await worker.ask({ ...oom, rows: 1 })).status).toBe("cancelled");
    expect(await pool.getRun(PROJECT, run)).toMatchObject({ status: "failed", error: { code: "out_of_memory" } });
    worker.close();
  });

  test("diverged: shut out, another boot goes on, a second one that disagrees ends the run", async () => {
    const { pool, run, job, worker, trainer } = await begin();
    await trainer.step(1);
    expect((await trainer.step(1, { hash: sha("x") })).status).toBe("diverged");
    expect((await trainer.step(2)).status).toBe("stale_fence");
    expect(worker.offered).toBe(0);
    expect(await pool.getJob(PROJECT, job)).toMatchObject({ status: "queued", workers_available: 0 });
    const other = await FakeWorker.connect(pool);
    const replay = await lastLease(other);
    expect(replay.payload).toMatchObject({ from: 2, hashes: [stepHash(1)], head_hash: stepHash(1) });
    expect(replay.lease.fence).toBe(2);
    const mismatch = await other.ask({ type: "mismatch", ...replay.id, n: 1, got: sha("y") });
    expect(mismatch.status).toBe("diverged");
    expect(await pool.getRun(PROJECT, run)).toMatchObject({
      status: "failed",
      error: { code: "not_reproducible", retryable: false },
    });
    expect(await pool.getJob(PROJECT, job)).toMatchObject({ status: "failed", error: { code: "not_reproducible" } });
    expect(await pool.takeSteps(steps(run, { to: 3 }))).toMatchObject({ ok: false, code: "run_finished" });
  });
});

describe("recovery", () => {
  test("a closed socket and the same boot: fence and lease live on", async () => {
    const { pool, worker, trainer } = await begin();
    await trainer.step(1);
    await worker.vanish(pool);
    await later(pool, 3000);
    const back = await FakeWorker.dial(pool, { boot: worker.boot });
    const leases = [
      { job: trainer.lease.job, fence: 1 },
      { job: "job_x", fence: 3 },
    ];
    const welcome = await back.hello({ leases });
    expect(welcome.reconcile).toEqual([
      { ...leases[0], action: "keep" },
      { ...leases[1], action: "drop" },
    ]);
    await later(pool, 20_000);
    const again = new Trainer(back, trainer.lease);
    expect((await again.step(2)).status).toBe("gap");
    expect((await again.result(1)).status).toBe("ok");
    expect((await lastLease(back)).lease).toMatchObject({ fence: 1, attempt: 1 });
  });

  test("a closed socket for longer: a new fence, the resume state and the hashes after it", async () => {
    const { pool, run, job, worker, trainer } = await begin();
    await trainer.honest();
    const second = await lastLease(worker);
    await second.step(2);
    expect((await second.resume(2)).status).toBe("ok");
    await second.step(3);
    await worker.vanish(pool);
    await later(pool, 5001);
    expect(await pool.getJob(PROJECT, job)).toMatchObject({ status: "queued", workers_available: 0 });
    const other = await FakeWorker.connect(pool);
    const replay = await lastLease(other);
    expect(replay.lease).toMatchObject({ fence: 2, attempt: 2, lineage: 0 });
    expect(replay.payload).toMatchObject({ from: 4, to: 5, hashes: [stepHash(3)], head_hash: stepHash(3) });
    expect(replay.payload.resume?.step).toBe(2);
    const [row] = await sql<{ deaths: number }>(pool, "SELECT deaths FROM jobs WHERE id = ?", job);
    expect(row?.deaths).toBe(0);
    // The first worker comes back too late: everything of it is stale.
    const late = await FakeWorker.dial(pool, { boot: worker.boot });
    const welcome = await late.hello({ leases: [{ job, fence: 1 }] });
    expect(welcome.reconcile).toEqual([{ job, fence: 1, action: "drop" }]);
    const stale = new Trainer(late, second.lease);
    expect((await stale.step(4)).status).toBe("stale_fence");
    expect((await stale.result(3)).status).toBe("stale_fence");
    expect((await stale.resume(3)).status).toBe("stale_fence");
    expect((await pool.getRun(PROJECT, run))?.head).toBe(3);
    expect((await replay.step(4)).status).toBe("ok");
  });

  test("silence with an open socket is a death; two deaths without progress poison the job", async () => {
    const { pool, run, job, worker } = await begin();
    await later(pool, 30_001);
    const cancel = await worker.next((frame) => frame.type === "cancel");
    expect(cancel).toEqual({ type: "cancel", job, fence: 1 });
    const second = await worker.lease();
    expect(second.fence).toBe(2);
    await later(pool, 30_001);
    const failed = await pool.getJob(PROJECT, job);
    expect(failed).toMatchObject({ status: "failed", error: { code: "poisoned", retryable: true } });
    expect(failed?.error?.message).toContain("2 workers died");
    expect(await pool.getRun(PROJECT, run)).toMatchObject({ status: "failed", error: { code: "poisoned" } });
    const retry = await pool.retryJob(PROJECT, job, "job_retry");
    expect(retry).toMatchObject({ ok: true, value: { id: "job_retry", retry_of: job } });
    expect(await pool.getRun(PROJECT, run)).toMatchObject({ status: "running", error: null });
    expect((await worker.lease()).job).toBe("job_retry");
  });

  test("progress renews, a tick that stands still does not save the lease", async () => {
    const { pool, worker, trainer } = await begin();
    const { job } = trainer.lease;
    const tick = { job, fence: 1, tick: 5, phase: "loading" as const, done: 1, total: 2 };
    for (let passed = 0; passed < 50_000; passed += 10_000) {
      await later(pool, 10_000);
      const ack = await worker.ask({ type: "progress", jobs: [tick] });
      expect(ack.jobs).toEqual([{ job, status: "ok", ttl_ms: 30_000 }]);
    }
    expect((await pool.getJob(PROJECT, job))?.progress).toEqual({ phase: "loading", done: 0, total: 10 });
    // The tick grew 50 s ago, at the first frame.
    await later(pool, 19_000);
    expect((await worker.ask({ type: "progress", jobs: [tick] })).jobs[0]?.status).toBe("ok");
    await later(pool, 1500);
    expect(await worker.next((frame) => frame.type === "cancel")).toMatchObject({ job, fence: 1 });
  });

  test("a checkpoint lost with its worker is taken on the way", async () => {
    const { pool, run, worker, trainer } = await begin({ every: 2 });
    await trainer.honest();
    const second = await lastLease(worker);
    await second.step(2);
    await second.step(3);
    await worker.vanish(pool);
    await later(pool, 5001);
    const other = await FakeWorker.connect(pool);
    const replay = await lastLease(other);
    expect(replay.payload).toMatchObject({ from: 3, to: 5, hashes: [stepHash(1), stepHash(2)], checkpoint_at: [2, 4] });
    expect((await replay.checkpoint(2)).status).toBe("ok");
    expect((await replay.step(3)).status).toBe("duplicate");
    expect((await replay.step(4)).status).toBe("ok");
    expect((await pool.getRun(PROJECT, run))?.head).toBe(4);
  });

  test("the object is evicted in the middle", async () => {
    const { pool, run, worker, trainer } = await begin({ total: 3 });
    await trainer.step(1);
    await evictDurableObject(pool);
    expect((await trainer.result(1)).status).toBe("ok");
    const next = await lastLease(worker);
    await next.step(2);
    await evictDurableObject(pool);
    await next.step(3);
    await next.checkpoint(3);
    await evictDurableObject(pool);
    await next.result(3, sha("state"));
    expect(await pool.getRun(PROJECT, run)).toMatchObject({ status: "completed", head: 3 });
    expect((await chain(pool, run)).map((row) => row.hash)).toEqual([1, 2, 3].map((n) => stepHash(n)));
    worker.close();
  });

  test("all but the digest was done: the next worker only finishes", async () => {
    const { pool, run, worker, trainer } = await begin({ total: 1 });
    await trainer.step(1);
    await trainer.checkpoint(1);
    await worker.vanish(pool);
    await later(pool, 5001);
    const other = await FakeWorker.connect(pool);
    const last = await lastLease(other);
    expect(last.payload).toMatchObject({ from: 2, to: 1, checkpoint_at: [], hashes: [stepHash(1)] });
    await last.result(1, sha("state"));
    expect(await pool.getRun(PROJECT, run)).toMatchObject({ status: "completed", state_sha256: sha("state") });
  });
});

describe("fingerprints", () => {
  test("a run waits for its own, then another opens a new lineage at the last resume state", async () => {
    const { pool, run, worker, trainer } = await begin({ every: 1 });
    await trainer.honest();
    const second = await lastLease(worker);
    await second.step(2);
    await second.checkpoint(2);
    await second.resume(2);
    await second.step(3);
    await second.checkpoint(3);
    await worker.vanish(pool);
    await later(pool, 5001);
    const other = await FakeWorker.connect(pool, { fingerprint: "f2" });
    expect(other.offered).toBe(0);
    await later(pool, FINGERPRINT_WAIT_MS - 6000);
    expect(other.offered).toBe(0);
    await later(pool, 7000);
    const taken = await lastLease(other);
    expect(taken.lease).toMatchObject({ lineage: 1, fence: 2 });
    expect(taken.payload).toMatchObject({ from: 3, head_hash: stepHash(2), hashes: [], checkpoint_at: [3, 4] });
    expect((await taken.step(3, { hash: sha("3 in f2") })).status).toBe("ok");
    expect((await taken.checkpoint(3, " f2")).status).toBe("ok");
    const view = await pool.getRun(PROJECT, run);
    expect(view).toMatchObject({ lineage: 1, head: 3, lineage_breaks: [{ lineage: 1, from: 2 }] });
    // Every step and every checkpoint of before is kept under its own id.
    expect((await pool.getCheckpoint(PROJECT, run, "3"))?.checkpoint.id).toBe(`${run}@3`);
    expect((await pool.getCheckpoint(PROJECT, run, "3.1"))?.checkpoint.id).toBe(`${run}@3.1`);
    expect((await pool.getCheckpoint(PROJECT, run, "2"))?.checkpoint.id).toBe(`${run}@2`);
    const rows = await sql(pool, "SELECT n, lineage, superseded FROM steps ORDER BY lineage, n");
    expect(rows).toEqual([
      { n: 1, lineage: 0, superseded: 0 },
      { n: 2, lineage: 0, superseded: 0 },
      { n: 3, lineage: 0, superseded: 1 },
      { n: 3, lineage: 1, superseded: 0 },
    ]);
    expect((await new Trainer(other, { ...taken.lease, lineage: 0 }).step(4)).status).toBe("stale_fence");
  });

  test("its own comes back in time", async () => {
    const { pool, worker, trainer } = await begin();
    await trainer.step(1);
    await worker.vanish(pool);
    await later(pool, 5001);
    const other = await FakeWorker.connect(pool, { fingerprint: "f2" });
    await later(pool, FINGERPRINT_WAIT_MS / 2);
    const own = await FakeWorker.connect(pool);
    const replay = await lastLease(own);
    expect(replay.lease.lineage).toBe(0);
    expect(other.offered).toBe(0);
    const [row] = await sql<{ waiting_since: number | null }>(pool, "SELECT waiting_since FROM runs");
    expect(row?.waiting_since).toBeNull();
  });
});

describe("states", () => {
  test("a pointer names only what is stored, under the live fence's prefix", async () => {
    const { pool, run, worker, trainer } = await begin();
    await trainer.step(1);
    const sha256 = sha("nowhere");
    const key = `${PROJECT}/${run}/1/${sha256}`;
    const parts = [{ key, bytes: 4, sha256 }];
    const state = { step: 1, sha256, parameters: 1, files: [{ name: "a", bytes: 4, sha256, parts }] };
    worker.post({ type: "checkpoint", ...trainer.id, state });
    await worker.until(() => worker.closed !== null);
    expect(worker.closed).toMatchObject({ code: 1008 });
    expect(await pool.getCheckpoint(PROJECT, run, "1")).toBeNull();
  });

  test("a repeated one is a duplicate, one ahead of the journal a gap; the last two resume states are kept", async () => {
    const { pool, worker, trainer } = await begin();
    await trainer.honest();
    const second = await lastLease(worker);
    await second.step(2);
    await second.step(3);
    expect((await second.resume(4)).status).toBe("gap");
    for (const n of [1, 2, 3]) expect((await second.resume(n)).status).toBe("ok");
    expect((await second.resume(2)).status).toBe("duplicate");
    expect((await second.checkpoint(2)).status).toBe("ok");
    expect((await second.checkpoint(2)).status).toBe("duplicate");
    expect(await sql(pool, "SELECT step FROM states WHERE kind = 'resume'")).toEqual([{ step: 2 }, { step: 3 }]);
    const [garbage] = await sql<{ name: string }>(pool, "SELECT name FROM garbage");
    const { env } = await import("cloudflare:workers");
    expect(garbage).toBeDefined();
    await later(pool, 2000);
    expect(await env.BLOBS.head(garbage?.name ?? "")).toBeNull();
    expect((await second.checkpoint(2, " other")).status).toBe("diverged");
  });

  test("an upload that ends after its span is still believed, until another holds the run", async () => {
    const { pool, run, worker, trainer } = await begin({ to: 1 });
    await trainer.step(1);
    await trainer.result(1);
    expect((await trainer.resume(1)).status).toBe("ok");
    expect(await pool.authorizeBlob("key_1", run, 1)).toBe(PROJECT);
    expect(await pool.authorizeBlob("key_2", run, 1)).toBeNull();
    expect(await pool.authorizeBlob("key_1", run, 2)).toBeNull();
    await pool.cancelRun(PROJECT, run);
    expect(await pool.authorizeBlob("key_1", run, 1)).toBeNull();
    expect((await trainer.checkpoint(1)).status).toBe("stale_fence");
    worker.close();
  });
});

describe("asking for steps", () => {
  test("clear refusals", async () => {
    const { pool, run, job } = await begin({ total: 10, to: 4 });
    const ask = (what: Parameters<typeof steps>[1]) => pool.takeSteps(steps(run, what));
    expect(await ask({ to: 11 })).toMatchObject({ ok: false, code: "invalid_request" });
    expect(await ask({ count: 7 })).toMatchObject({ ok: false, code: "invalid_request" });
    expect(await ask({ count: 0 })).toMatchObject({ ok: false, code: "invalid_request" });
    expect(await ask({ to: 4 })).toMatchObject({ ok: true, value: { replayed: true, resource: { id: job } } });
    expect(await pool.takeSteps(steps("run_none", { to: 1 }))).toMatchObject({ ok: false, code: "not_found" });
    expect(await pool.takeSteps(steps(run, { to: 1 }, { project: "proj_b" }))).toMatchObject({ code: "not_found" });
    await pool.cancelRun(PROJECT, run);
    expect(await ask({ to: 5 })).toMatchObject({ ok: false, code: "run_finished" });
    expect(await ask({ count: 1 })).toMatchObject({ ok: false, code: "run_finished" });
    expect(await pool.retryJob(PROJECT, job, "job_r")).toMatchObject({ ok: false, code: "not_retryable" });
  });

  test("a retried request with a key finds its job; several targets queue, the nearest first", async () => {
    const { pool, run, worker, trainer } = await begin({ to: 2 });
    const far = steps(run, { count: 2 });
    expect(await pool.takeSteps(far)).toMatchObject({ ok: true, value: { replayed: false } });
    expect(await pool.takeSteps(far)).toMatchObject({ ok: true, value: { replayed: true } });
    expect(await pool.takeSteps({ ...far, digest: sha("z") })).toMatchObject({
      ok: false,
      code: "idempotency_mismatch",
    });
    await trainer.honest();
    const second = await lastLease(worker);
    expect(second.payload).toMatchObject({ from: 2, to: 2 });
    expect(second.lease.job).toBe(trainer.lease.job);
    await second.honest();
    const third = await lastLease(worker);
    expect(third.lease).toMatchObject({ job: far.job, fence: 1 });
    expect(third.payload).toMatchObject({ from: 3, to: 4 });
  });

  test("cancelling a job leaves the run ready, a cancelled worker is told, its frames are stale", async () => {
    const { pool, run, job, worker, trainer } = await begin();
    await trainer.step(1);
    expect(await pool.cancelJob(PROJECT, job)).toMatchObject({ ok: true, value: { status: "cancelled" } });
    expect(await worker.next((frame) => frame.type === "cancel")).toEqual({ type: "cancel", job, fence: 1 });
    expect((await trainer.step(2)).status).toBe("stale_fence");
    const progress = { job, fence: 1, tick: 1, phase: "working" as const, done: 0, total: 0 };
    expect((await worker.ask({ type: "progress", jobs: [progress] })).jobs).toEqual([
      { job, status: "cancelled", ttl_ms: 0 },
    ]);
    expect(await pool.getRun(PROJECT, run)).toMatchObject({ status: "ready", head: 1, target: 1 });
    expect(await pool.cancelRun(PROJECT, run)).toMatchObject({ ok: true, value: { status: "cancelled" } });
    expect(await pool.deleteRun(PROJECT, run)).toEqual({ ok: true, value: null });
    expect(await pool.getRun(PROJECT, run)).toBeNull();
    expect(await pool.getJob(PROJECT, job)).toBeNull();
  });

  test("a run in work cannot be deleted", async () => {
    const { pool, run } = await begin();
    expect(await pool.deleteRun(PROJECT, run)).toMatchObject({ ok: false, code: "in_use" });
  });
});

test("a lease of a run is exclusive", async () => {
  const { pool, run } = await begin();
  await pool.takeSteps(steps(run, { to: 7 }));
  const other = await FakeWorker.connect(pool, { boot: newBoot() });
  const second: Lease[] = [];
  await other.ask({ type: "progress", jobs: [] });
  expect(other.offered).toBe(0);
  expect(second).toEqual([]);
  expect(stepPrev(1)).toBe(sha("genesis"));
});
