// A run over real sockets: its spans, and the order in which the journal decides.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeWorker } from "./fake-worker.ts";
import { PROJECT, sha, stepHash, steps } from "./fixtures.ts";
import { clock, sql } from "./harness.ts";
import { begin, chain, lastLease, trainAll, Trainer } from "./trainer.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

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
    expect(counted).toMatchObject({ ok: true, value: { replayed: false, resource: { request: '{"count":2}' } } });
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
      { from: 1, micro_batch_tokens: null, head_chunk: 256, share_prefixes: true },
      { from: 2, micro_batch_tokens: 400, head_chunk: 256, share_prefixes: true },
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
