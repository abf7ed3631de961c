// The protocol at its edges, and who gets which job.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FRAMES_AT_ONCE, FRAMES_PER_S, MAX_KEY_SOCKETS } from "../../src/config.ts";
import { clock, freshPool, later, settled } from "./harness.ts";
import { newBoot, FakeWorker } from "./fake-worker.ts";
import { scorePayload, PROJECT, result, scoreJob, sha } from "./fixtures.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

describe("sockets", () => {
  test("only a worker's upgrade is accepted, a frame comes after hello, and must be of the protocol", async () => {
    const pool = freshPool();
    const plain = await pool.fetch(new Request("http://pool/connect"));
    expect(plain.status).toBe(426);
    await plain.text();
    const cases: [string | ArrayBuffer, number, RegExp][] = [
      [JSON.stringify({ type: "progress", seq: 1, jobs: [] }), 1008, /hello first/],
      ["{", 1008, /JSON/],
      [JSON.stringify({ type: "hello", seq: 1 }), 1008, /bad frame/],
      [new ArrayBuffer(4), 1008, /text/],
      [JSON.stringify({ type: "hello", pad: "é".repeat(33_000) }), 1009, /first frame has at most 65536 bytes/],
    ];
    for (const [data, code, reason] of cases) {
      const worker = await FakeWorker.dial(pool);
      worker.raw(data);
      await worker.until(() => worker.closed !== null);
      expect(worker.closed?.code).toBe(code);
      expect(worker.closed?.reason).toMatch(reason);
    }
  });

  test("a frame after hello has its own bound", async () => {
    const worker = await FakeWorker.connect(freshPool());
    worker.raw(JSON.stringify({ type: "x", pad: "é".repeat(600_000) }));
    await worker.until(() => worker.closed !== null);
    expect(worker.closed).toMatchObject({ code: 1009, reason: "a frame has at most 1048576 bytes" });
  });

  test("a key has so many sockets and no more; another has its own", async () => {
    const pool = freshPool();
    const connect = (key: string) =>
      pool.fetch(
        new Request("http://pool/connect", {
          headers: { upgrade: "websocket", "x-understudy-key": key, "x-understudy-project": "" },
        }),
      );
    const open = await Promise.all(Array.from({ length: MAX_KEY_SOCKETS }, () => connect("key_1")));
    expect(new Set(open.map(({ status }) => status))).toEqual(new Set([101]));
    const refused = await connect("key_1");
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "10"]);
    await refused.text();
    expect((await connect("key_2")).status).toBe(101);
    for (const { webSocket } of open) {
      webSocket?.accept();
      webSocket?.close(1000, "bye");
    }
  });

  test("one that sends too much is closed, and others are answered meanwhile", async () => {
    const pool = freshPool();
    const flood = await FakeWorker.connect(pool);
    const calm = await FakeWorker.connect(pool);
    for (let sent = 0; sent < FRAMES_AT_ONCE + 50; sent += 1) flood.post({ type: "progress", jobs: [] });
    expect((await calm.ask({ type: "progress", jobs: [] })).status).toBe("ok");
    await flood.until(() => flood.closed !== null);
    expect(flood.closed).toEqual({ code: 4029, reason: `more than ${FRAMES_PER_S} frames a second` });
    expect(flood.frames.filter((frame) => frame.type === "ack").length).toBeLessThan(FRAMES_AT_ONCE);
    // The boot comes back with a socket of its own account.
    const back = await FakeWorker.connect(pool, { boot: flood.boot });
    expect((await back.ask({ type: "progress", jobs: [] })).status).toBe("ok");
  });

  test("a boot belongs to its key; its newest socket wins, and the old one is closed", async () => {
    const pool = freshPool();
    const first = await FakeWorker.connect(pool);
    const thief = await FakeWorker.dial(pool, { boot: first.boot, key: "key_2" });
    await expect(thief.hello()).rejects.toThrow(/1008/);
    await pool.submitJob(scoreJob());
    const lease = await first.lease();
    const second = await FakeWorker.dial(pool, { boot: first.boot });
    const welcome = await second.hello({ leases: [{ job: lease.job, fence: 1 }] });
    expect(welcome.reconcile).toEqual([{ job: lease.job, fence: 1, action: "keep" }]);
    await first.until(() => first.closed !== null);
    expect(first.closed?.code).toBe(4000);
    // The old socket's close does not cut the lease.
    await later(pool, 10_000);
    expect((await second.ask(result(lease))).status).toBe("ok");
    expect(await pool.workers(PROJECT)).toHaveLength(1);
  });

  test("a lease that never reached its worker is given again at once", async () => {
    const pool = freshPool();
    await pool.submitJob(scoreJob());
    const worker = await FakeWorker.connect(pool);
    const lost = await worker.lease();
    const again = await FakeWorker.connect(pool, { boot: worker.boot });
    expect(await again.lease()).toMatchObject({ job: lost.job, fence: 2 });
  });

  test("workers are seen by their project, a shared one by all; leases of others are not named", async () => {
    const pool = freshPool();
    await pool.submitJob(scoreJob({ project: "proj_b" }));
    await FakeWorker.connect(pool, { fingerprint: "f9" });
    await FakeWorker.connect(pool, { project: "proj_b", key: "key_b" });
    const [shared, ...none] = await pool.workers(PROJECT);
    expect(none).toEqual([]);
    expect(shared).toMatchObject({ object: "worker", status: "connected", fingerprint: sha("f9"), leases: [] });
    const seen = await pool.workers("proj_b");
    expect(seen).toHaveLength(2);
    expect(seen.flatMap((worker) => worker.leases)).toHaveLength(1);
  });

  test("drain: the span in hand is finished, nothing more is given", async () => {
    const pool = freshPool();
    const [one, two] = [scoreJob(), scoreJob()];
    await pool.submitJob(one);
    const worker = await FakeWorker.connect(pool, { project: PROJECT });
    const lease = await worker.lease();
    const [info] = await pool.workers(PROJECT);
    expect(await pool.drainWorker("proj_b", info!.id)).toMatchObject({ ok: false, code: "not_found" });
    expect(await pool.drainWorker(PROJECT, info!.id)).toMatchObject({ ok: true, value: { status: "draining" } });
    expect(await worker.next((frame) => frame.type === "drain")).toEqual({ type: "drain", move_to: null });
    expect(await pool.submitJob(two)).toMatchObject({ ok: true, value: { resource: { workers_available: 0 } } });
    expect((await worker.ask(result(lease))).status).toBe("ok");
    expect(worker.offered).toBe(0);
    const shared = await FakeWorker.connect(pool);
    expect((await shared.lease()).job).toBe(two.id);
    const other = (await pool.workers(PROJECT)).find((row) => row.status === "connected");
    expect(await pool.drainWorker(PROJECT, other!.id)).toMatchObject({ ok: false, code: "forbidden" });
  });

  test("a revoked key loses its sockets and leases at once", async () => {
    const pool = freshPool();
    const job = scoreJob();
    await pool.submitJob(job);
    const worker = await FakeWorker.connect(pool, { key: "key_x" });
    await worker.lease();
    await pool.revokeKey("key_x");
    await worker.until(() => worker.closed !== null);
    expect(worker.closed).toMatchObject({ code: 1008, reason: "the key was revoked" });
    expect(await pool.authorizeBlob("key_x", job.id, 1)).toBeNull();
    const other = await FakeWorker.connect(pool);
    expect(await other.lease()).toMatchObject({ job: job.id, fence: 2 });
  });
});

describe("who gets what", () => {
  test("two projects take turns, though one came first with many jobs", async () => {
    const pool = freshPool();
    const mine = Array.from({ length: 6 }, () => scoreJob({ cost: 1000 }));
    const theirs = Array.from({ length: 3 }, () => scoreJob({ project: "proj_b", cost: 1000 }));
    for (const job of [...mine, ...theirs]) await pool.submitJob(job);
    const worker = await FakeWorker.connect(pool);
    const order: string[] = [];
    for (let times = 0; times < 6; times += 1) {
      const lease = await worker.lease();
      order.push(lease.project);
      await worker.ask(result(lease));
    }
    expect(order.filter((project) => project === "proj_b")).toHaveLength(3);
    await settled(pool);
    const first = await pool.getJob(PROJECT, mine[0]!.id);
    expect(first?.status).toBe("completed");
    expect(await pool.getJob(PROJECT, mine[5]!.id)).toMatchObject({ status: "queued", position: 1 });
  });

  test("scoring goes where the models are loaded; kinds, models and projects are respected", async () => {
    const pool = freshPool();
    const options = { models: ["a", "b"], boot: newBoot() };
    const one = await FakeWorker.connect(pool, options);
    await pool.submitJob(scoreJob({ payload: scorePayload("a") }));
    await one.ask(result(await one.lease()));
    const two = await FakeWorker.connect(pool, { models: ["a", "b"], slots: 4 });
    await pool.submitJob(scoreJob({ payload: scorePayload("a") }));
    const warm = await one.lease();
    await pool.submitJob(scoreJob({ payload: scorePayload("b") }));
    expect((await two.lease()).payload).toEqual(scorePayload("b"));
    expect(warm.payload).toEqual(scorePayload("a"));
    const trainer = await FakeWorker.connect(pool, { kinds: ["train"], models: ["c"] });
    const foreign = await FakeWorker.connect(pool, { project: "proj_b", models: ["c"] });
    const job = scoreJob({ payload: scorePayload("c") });
    expect(await pool.submitJob(job)).toMatchObject({ ok: true, value: { resource: { workers_available: 0 } } });
    for (const idle of [trainer, foreign]) {
      await idle.ask({ type: "progress", jobs: [] });
      expect(idle.offered).toBe(0);
    }
  });
});
