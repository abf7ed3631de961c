// Workers die, fall silent, come back too late; fingerprints come and go.
import { evictDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FINGERPRINT_WAIT_MS } from "../../src/config.ts";
import { FakeWorker } from "./fake-worker.ts";
import { PROJECT, sha, stepHash } from "./fixtures.ts";
import { clock, later, sql } from "./harness.ts";
import { begin, chain, lastLease, Trainer } from "./trainer.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

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
    // A stopped process would let the next lease expire too: it gets none until it speaks.
    expect(await pool.getJob(PROJECT, job)).toMatchObject({ status: "queued", workers_available: 0 });
    expect(worker.offered).toBe(0);
    await worker.ask({ type: "progress", jobs: [] });
    const second = await worker.lease();
    expect(second.fence).toBe(2);
    await later(pool, 30_001);
    const failed = await pool.getJob(PROJECT, job);
    expect(failed).toMatchObject({ status: "failed", error: { code: "poisoned", retryable: true } });
    expect(failed?.error?.message).toContain("2 workers died");
    expect(await pool.getRun(PROJECT, run)).toMatchObject({ status: "failed", error: { code: "poisoned" } });
    const retry = await pool.retryJob(PROJECT, job, "job_retry");
    expect(retry).toMatchObject({ ok: true, value: { id: "job_retry", retry_of: job } });
    expect(await pool.getRun(PROJECT, run)).toMatchObject({ status: "queued", error: null });
    await worker.ask({ type: "progress", jobs: [] });
    expect((await worker.lease()).job).toBe("job_retry");
  });

  test("a resume state that cannot be read: the one before it, then the beginning", async () => {
    const { pool, worker, trainer } = await begin();
    await trainer.honest();
    const second = await lastLease(worker);
    for (const n of [2, 3]) {
      await second.step(n);
      expect((await second.resume(n)).status).toBe("ok");
    }
    await second.result(3);
    await worker.vanish(pool);
    await later(pool, 5001);
    const other = await FakeWorker.connect(pool);
    for (const [step, hashes] of [
      [3, []],
      [2, [3]],
      [null, [1, 2, 3]],
    ] as const) {
      const next = await lastLease(other);
      expect(next.payload.resume?.step ?? null).toBe(step);
      expect(next.payload.hashes).toEqual(hashes.map((n) => stepHash(n)));
      const failure = { code: "resume_state_corrupt", detail: "gone", retryable: true };
      const { job, fence, lineage } = next.lease;
      expect((await other.ask({ type: "fail", job, fence, lineage, ...failure })).status).toBe("ok");
      await later(pool, 60_000);
    }
  });

  test("a worker that is stopped loses the run to another, and its late frames change nothing", async () => {
    const { pool, run, trainer } = await begin();
    await trainer.step(1);
    const other = await FakeWorker.connect(pool);
    await later(pool, 30_001);
    const taken = await lastLease(other);
    expect(taken.lease).toMatchObject({ fence: 2, attempt: 2 });
    expect(taken.payload).toMatchObject({ from: 2, hashes: [stepHash(1)] });
    expect((await trainer.step(2)).status).toBe("stale_fence");
    expect((await taken.step(2)).status).toBe("ok");
    expect((await pool.getRun(PROJECT, run))?.head).toBe(2);
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
