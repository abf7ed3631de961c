// Checkpoints and resume states, and what may be asked of a run.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Lease } from "../../src/wire/pool.ts";
import { FakeWorker, newBoot } from "./fake-worker.ts";
import { model, PROJECT, runSubmit, sha, stepPrev, steps } from "./fixtures.ts";
import { clock, freshPool, later, sql } from "./harness.ts";
import { begin, lastLease } from "./trainer.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

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

  test("the hold between spans ends five seconds after its worker has gone", async () => {
    const { pool, run, worker, trainer } = await begin({ to: 1 });
    await trainer.step(1);
    await trainer.result(1);
    await worker.vanish(pool);
    await later(pool, 4000);
    const back = await FakeWorker.connect(pool, { boot: worker.boot });
    expect(await pool.authorizeBlob("key_1", run, 1)).toBe(PROJECT);
    await back.vanish(pool);
    await later(pool, 5001);
    expect(await pool.authorizeBlob("key_1", run, 1)).toBeNull();
    const again = await FakeWorker.connect(pool, { boot: worker.boot });
    await pool.takeSteps(steps(run, { to: 2 }));
    expect((await again.lease()).fence).toBe(2);
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

  test("steps already taken, and a checkpoint already stored, are done at once", async () => {
    const { pool, run, worker, trainer } = await begin({ total: 3, to: 3 });
    await trainer.honest();
    await (await lastLease(worker)).honest();
    expect(await pool.getRun(PROJECT, run)).toMatchObject({ status: "completed", head: 3 });
    const done = { ok: true, value: { replayed: false, resource: { status: "completed", attempts: 0 } } };
    expect(await pool.takeSteps(steps(run, { checkpoint: true }))).toMatchObject(done);
    expect(await pool.takeSteps(steps(run, { to: 3 }))).toMatchObject({ ok: true, value: { replayed: true } });
    expect(await pool.takeSteps(steps(run, { to: 2 }))).toMatchObject({ ok: false, code: "run_finished" });
    const other = await begin({ total: 9, to: 1 });
    await other.trainer.honest();
    await other.pool.takeSteps(steps(other.run, { to: 3 }));
    await (await lastLease(other.worker)).honest();
    expect(await other.pool.takeSteps(steps(other.run, { to: 2 }))).toMatchObject(done);
    expect(other.worker.offered).toBe(0);
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

test("a run's worker has every local model that it names: also a reward's, and the one that lends a tokenizer", async () => {
  const pool = freshPool();
  const submit = runSubmit();
  const config = { model_type: "llama" as const, hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1 };
  const heads = {
    num_attention_heads: 1,
    num_key_value_heads: 1,
    max_position_embeddings: 64,
    tie_word_embeddings: true,
  };
  const tokenizer = { type: "local" as const, name: "lender" };
  const base = { type: "init" as const, config: { ...config, ...heads }, tokenizer, seed: 1 };
  const student = { model: submit.id, base, layer_indices: null, weights_digest: null };
  await pool.submitRun({ ...submit, spec: { ...submit.spec, student, reward_model: model("judge") } });
  await pool.takeSteps(steps(submit.id, { to: 1 }));
  for (const models of [
    ["tiny", "lender"],
    ["tiny", "judge"],
    ["judge", "lender"],
  ]) {
    const lacking = await FakeWorker.connect(pool, { models });
    await lacking.ask({ type: "progress", jobs: [] });
    expect(lacking.offered).toBe(0);
  }
  const worker = await FakeWorker.connect(pool, { models: ["judge", "lender", "tiny"] });
  expect((await worker.lease()).payload).toMatchObject({ spec: { student, reward_model: model("judge") } });
});
