// Jobs over real sockets: submission, results, failures.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { IDEMPOTENCY_MS, MAX_INLINE_BYTES, MAX_PROJECT_WAITERS, MAX_QUEUED_JOBS } from "../../src/config.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  evaluationSubmit,
  fail,
  model,
  PROJECT,
  result,
  runSubmit,
  scoreJob,
  scoreOutput,
  scorePayload,
  sha,
} from "./fixtures.ts";
import { clock, freshPool, later, sql } from "./harness.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

describe("submission", () => {
  test("a job is leased to a worker that comes later, and a waiting caller sees its end", async () => {
    const pool = freshPool();
    const job = scoreJob();
    const submitted = await pool.submitJob(job);
    const queued = { status: "queued", position: 0, workers_available: 0 };
    expect(submitted).toMatchObject({ ok: true, value: { replayed: false, resource: queued } });
    const worker = await FakeWorker.connect(pool);
    const lease = await worker.lease();
    const { id, payload } = job;
    expect(lease).toMatchObject({ job: id, project: PROJECT, attempt: 1, fence: 1, lineage: null, payload });
    expect(await pool.getJob(PROJECT, id)).toMatchObject({ status: "running", position: null, attempts: 1 });
    const waiting = pool.waitJob(PROJECT, id, 5000);
    expect((await worker.ask(result(lease))).status).toBe("ok");
    expect(await waiting).toMatchObject({ status: "completed", output: scoreOutput, request: job.request });
    expect((await worker.ask(result(lease))).status).toBe("stale_fence");
    expect(await pool.waitJob(PROJECT, "job_none", 5000)).toBeNull();
    expect(await pool.getJob("proj_b", id)).toBeNull();
  });

  test("waiting ends in time", async () => {
    const pool = freshPool();
    const job = scoreJob();
    await pool.submitJob(job);
    clock.stop();
    expect(await pool.waitJob(PROJECT, job.id, 30)).toMatchObject({ status: "queued" });
  });

  test("more callers than may wait end at once, and the others are answered when it ends", async () => {
    const pool = freshPool();
    const [job, other] = [scoreJob(), scoreJob()];
    await pool.submitJob(job);
    const waiting = Array.from({ length: MAX_PROJECT_WAITERS }, () => pool.waitJob(PROJECT, job.id, 60_000));
    const late = Array.from({ length: 3 }, () => pool.waitJob(PROJECT, job.id, 60_000));
    expect((await Promise.all(late)).map((state) => state?.status)).toEqual(["queued", "queued", "queued"]);
    await pool.submitJob(other);
    expect(await pool.getJob(PROJECT, other.id)).toMatchObject({ status: "queued" });
    // Another project waits as if nobody else did.
    const theirs = scoreJob({ project: "proj_b" });
    await pool.submitJob(theirs);
    const wait = pool.waitJob("proj_b", theirs.id, 60_000);
    await pool.cancelJob("proj_b", theirs.id);
    expect(await wait).toMatchObject({ status: "cancelled" });
    await pool.cancelJob(PROJECT, job.id);
    expect(new Set((await Promise.all(waiting)).map((state) => state?.status))).toEqual(new Set(["cancelled"]));
  });

  test("the same id: the same answer; another body, or an old key, is refused", async () => {
    const pool = freshPool();
    const job = scoreJob();
    await pool.submitJob(job);
    expect(await pool.submitJob(job)).toMatchObject({ ok: true, value: { replayed: true, resource: { id: job.id } } });
    expect(await pool.submitJob({ ...job, digest: sha("else") })).toMatchObject({
      ok: false,
      code: "idempotency_mismatch",
    });
    clock.pass(IDEMPOTENCY_MS + 1);
    expect(await pool.submitJob(job)).toMatchObject({ ok: false, code: "idempotency_expired" });
    const run = runSubmit();
    await pool.submitRun(run);
    expect(await pool.submitRun(run)).toMatchObject({
      ok: true,
      value: { replayed: true, resource: { status: "ready" } },
    });
    expect(await pool.submitRun({ ...run, digest: sha("else") })).toMatchObject({ code: "idempotency_mismatch" });
    const evaluation = evaluationSubmit([1], { identity: "same" });
    await pool.submitEvaluation(evaluation);
    expect(await pool.submitEvaluation(evaluation)).toMatchObject({ ok: true, value: { replayed: true } });
    const other = await pool.submitEvaluation(evaluationSubmit([1], { identity: "same" }));
    expect(other).toMatchObject({ ok: true, value: { replayed: true, resource: { id: evaluation.id } } });
    const repeat = await pool.submitEvaluation(evaluationSubmit([1]));
    expect(repeat).toMatchObject({ ok: true, value: { replayed: false } });
  });

  test("a full queue, of one project only, and a payload over the inline limit", async () => {
    const pool = freshPool();
    const job = scoreJob();
    await pool.submitJob(job);
    await sql(pool, "UPDATE active SET jobs = ?", MAX_QUEUED_JOBS);
    const full = await pool.submitJob(scoreJob());
    expect(full).toMatchObject({ ok: false, code: "queue_full", retryAfter: 10 });
    expect(await pool.submitJob(scoreJob({ project: "proj_b" }))).toMatchObject({ ok: true });
    const items = [{ prompt: "x".repeat(MAX_INLINE_BYTES), responses: ["a"] }];
    const large = scoreJob({ project: "proj_b", payload: { ...scorePayload(), items } });
    expect(await pool.submitJob(large)).toMatchObject({ ok: false, code: "too_large" });
  });

  test("a payload in a blob travels as its reference", async () => {
    const pool = freshPool();
    const sha256 = sha("blob");
    const blob = { key: `${PROJECT}/job_x/1/${sha256}`, bytes: 3, sha256 };
    const job = scoreJob({ payload: null, artifact: { kind: "compare", localModels: ["big"], blob } });
    await pool.submitJob(job);
    const small = await FakeWorker.connect(pool);
    await small.ask({ type: "progress", jobs: [] });
    expect(small.offered).toBe(0);
    const worker = await FakeWorker.connect(pool, { models: ["big"] });
    expect(await worker.lease()).toMatchObject({ payload: null, artifact: blob });
    expect(await pool.getJob(PROJECT, job.id)).toMatchObject({ kind: "compare", workers_available: 1 });
  });
});

describe("results", () => {
  test("an artifact is believed once its object is stored under the job's own prefix", async () => {
    const { env } = await import("cloudflare:workers");
    const pool = freshPool();
    const job = scoreJob();
    await pool.submitJob(job);
    const worker = await FakeWorker.connect(pool);
    const lease = await worker.lease();
    const sha256 = sha(job.id.slice(-8));
    const key = `${PROJECT}/${job.id}/1/${sha256}`;
    expect(await pool.authorizeBlob("key_1", job.id, 1)).toBe(PROJECT);
    await env.BLOBS.put(key, "data");
    const artifact = { key, bytes: 4, sha256 };
    expect((await worker.ask({ ...result(lease), output: null, artifact })).status).toBe("ok");
    expect(await pool.getJob(PROJECT, job.id)).toMatchObject({ status: "completed", output: null, artifact });
    expect(await pool.authorizeBlob("key_1", job.id, 1)).toBeNull();
  });

  test("a foreign artifact, and an output of another kind, break the protocol", async () => {
    const pool = freshPool();
    await pool.submitJob(scoreJob());
    const worker = await FakeWorker.connect(pool);
    const lease = await worker.lease();
    const artifact = { key: `proj_b/job_b/1/${sha("b")}`, bytes: 4, sha256: sha("b") };
    worker.post({ ...result(lease), output: null, artifact });
    await worker.until(() => worker.closed !== null);
    expect(worker.closed).toMatchObject({ code: 1008 });
    const other = await FakeWorker.connect(pool, { boot: worker.boot });
    other.post({ ...result(await other.lease()), output: { kind: "train", head: 1, state_sha256: null } as never });
    await other.until(() => other.closed !== null);
    expect(other.closed?.reason).toContain("score");
  });

  test("prepare tells the registry what was found, or why not", async () => {
    const pool = freshPool();
    const worker = await FakeWorker.connect(pool, { models: ["a", "b"], slots: 2 });
    const prepare = (name: string) => scoreJob({ payload: { kind: "prepare", model: model(name) } });
    await pool.submitJob(prepare("a"));
    const facts = { architecture: "Llama", layers: 2, parameters: 10, vocab_size: 5, context_length: 8 };
    const digests = { weights_digest: sha(1), tokenizer_digest: sha(2), template_digest: sha(3) };
    const output = { kind: "prepare" as const, facts: { ...facts, layer_indices: null, ...digests } };
    await worker.ask(result(await worker.lease(), output));
    await pool.submitJob(prepare("b"));
    await worker.ask(fail(await worker.lease(), false));
    const entries = await sql<{ entry: string }>(pool, "SELECT entry FROM outbox WHERE kind = 'model' ORDER BY seq");
    expect(entries.map(({ entry }) => JSON.parse(entry) as unknown)).toEqual([
      { kind: "model", project: PROJECT, model: "model_a", outcome: { facts: output.facts } },
      {
        kind: "model",
        project: PROJECT,
        model: "model_b",
        outcome: { error: { code: "broken", message: "it broke", retryable: false } },
      },
    ]);
  });

  test("usage is counted once", async () => {
    const pool = freshPool();
    const worker = await FakeWorker.connect(pool);
    for (let times = 0; times < 3; times += 1) {
      await pool.submitJob(scoreJob());
      await worker.ask(result(await worker.lease()));
    }
    expect(await sql(pool, "SELECT meter, total FROM usage")).toEqual([{ meter: "tokens_scored", total: 21 }]);
    expect(await sql(pool, "SELECT count(*) AS n FROM outbox WHERE kind = 'usage'")).toEqual([{ n: 1 }]);
  });
});

describe("failures", () => {
  test("a retryable one is tried again after a pause, five times in all", async () => {
    const pool = freshPool();
    const job = scoreJob();
    await pool.submitJob(job);
    const worker = await FakeWorker.connect(pool);
    for (let fence = 1; fence <= 5; fence += 1) {
      const lease = await worker.lease();
      expect(lease).toMatchObject({ fence, attempt: fence });
      expect((await worker.ask(fail(lease, true))).status).toBe("ok");
      expect(worker.offered).toBe(0);
      await later(pool, 60_000);
    }
    const failed = await pool.getJob(PROJECT, job.id);
    expect(failed).toMatchObject({ status: "failed", attempts: 5, error: { code: "poisoned" } });
    expect(failed?.error?.message).toContain("broken: it broke");
    expect(await pool.retryJob(PROJECT, job.id, "job_again")).toMatchObject({ ok: true, value: { retry_of: job.id } });
    expect(await pool.retryJob(PROJECT, job.id, "job_again")).toMatchObject({ ok: true, value: { id: "job_again" } });
    expect(await pool.retryJob(PROJECT, "job_again", "job_z")).toMatchObject({ ok: false, code: "not_retryable" });
    expect((await worker.lease()).payload).toEqual(job.payload);
  });

  test("another one is final", async () => {
    const pool = freshPool();
    const job = scoreJob();
    await pool.submitJob(job);
    const worker = await FakeWorker.connect(pool);
    const lease = await worker.lease();
    await worker.ask(fail(lease, false));
    expect(await pool.getJob(PROJECT, job.id)).toMatchObject({ status: "failed", error: { code: "broken" } });
    expect((await worker.ask(result(lease))).status).toBe("stale_fence");
    expect(await pool.getJob(PROJECT, job.id)).toMatchObject({ status: "failed" });
  });

  test("a worker that refuses is passed over, another takes the job", async () => {
    const pool = freshPool();
    const job = scoreJob();
    await pool.submitJob(job);
    const worker = await FakeWorker.connect(pool);
    const { fence } = await worker.lease();
    await worker.ask({ type: "refuse", job: job.id, fence, reason: "too big for me", retryable: false });
    expect(worker.offered).toBe(0);
    expect(await pool.getJob(PROJECT, job.id)).toMatchObject({ status: "queued", workers_available: 0 });
    const other = await FakeWorker.connect(pool);
    expect((await other.lease()).job).toBe(job.id);
  });

  test("a late result after the lease was lost changes nothing", async () => {
    const pool = freshPool();
    const job = scoreJob();
    await pool.submitJob(job);
    const first = await FakeWorker.connect(pool);
    const lease = await first.lease();
    await first.vanish(pool);
    await later(pool, 5001);
    const second = await FakeWorker.connect(pool);
    const retaken = await second.lease();
    expect(retaken.fence).toBe(2);
    const back = await FakeWorker.connect(pool, { boot: first.boot });
    expect((await back.ask(result(lease, { ...scoreOutput, tokens: 99 }))).status).toBe("stale_fence");
    await second.ask(result(retaken));
    expect(await pool.getJob(PROJECT, job.id)).toMatchObject({ status: "completed", output: { tokens: 7 } });
  });

  test("cancel: a queued job at once, a leased one with its fence; what has ended stays", async () => {
    const pool = freshPool();
    const [one, two] = [scoreJob(), scoreJob()];
    await pool.submitJob(one);
    await pool.submitJob(two);
    const worker = await FakeWorker.connect(pool);
    const lease = await worker.lease();
    expect(await pool.cancelJob(PROJECT, two.id)).toMatchObject({ ok: true, value: { status: "cancelled" } });
    expect(await pool.cancelJob(PROJECT, one.id)).toMatchObject({ ok: true, value: { status: "cancelled" } });
    expect(await worker.next((frame) => frame.type === "cancel")).toEqual({ type: "cancel", job: one.id, fence: 1 });
    expect((await worker.ask(result(lease))).status).toBe("stale_fence");
    expect(await pool.cancelJob(PROJECT, one.id)).toMatchObject({ ok: true, value: { status: "cancelled" } });
    expect(await pool.cancelJob(PROJECT, "job_none")).toMatchObject({ ok: false, code: "not_found" });
  });
});
