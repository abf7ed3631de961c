// Jobs and evaluations over real sockets: submission, results, refusals, the protocol's edges.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { IDEMPOTENCY_MS, MAX_INLINE_BYTES, MAX_QUEUED_JOBS } from "../../src/config.ts";
import type { Lease } from "../../src/wire/pool.ts";
import {
  FakeWorker,
  PROJECT,
  clock,
  evaluationSubmit,
  freshPool,
  later,
  model,
  newBoot,
  runSubmit,
  scoreJob,
  scoreOutput,
  scorePayload,
  sha,
  sql,
} from "./harness.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

const result = (lease: Lease, output: unknown = scoreOutput) => ({
  type: "result" as const,
  job: lease.job,
  fence: lease.fence,
  lineage: null,
  output: output as typeof scoreOutput,
  artifact: null,
});
const fail = (lease: Lease, retryable: boolean) => ({
  type: "fail" as const,
  job: lease.job,
  fence: lease.fence,
  lineage: null,
  code: "broken",
  detail: "it broke",
  retryable,
});

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
    const columns = (await sql<{ name: string }>(pool, "SELECT name FROM pragma_table_info('jobs')")).map(
      (row) => row.name,
    );
    const copy = columns.map((name) => (name === "id" ? "'job_' || value" : `"${name}"`)).join(", ");
    await sql(
      pool,
      `WITH RECURSIVE count(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM count WHERE value < ?)
       INSERT INTO jobs SELECT ${copy} FROM jobs, count WHERE id = ?`,
      MAX_QUEUED_JOBS - 1,
      job.id,
    );
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
    expect(entries.map(({ entry }) => JSON.parse(entry))).toEqual([
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

describe("evaluations", () => {
  const items = (lease: Lease, batch: number) => {
    if (lease.payload?.kind !== "generate") throw new Error("not a generate lease");
    const asked = lease.payload.batches.find((entry) => entry.batch === batch)?.items ?? [];
    const done = asked.map(({ item, seed }) => {
      return { item, seed, response: "yes", finish_reason: "stop" as const, num_tokens: 2 };
    });
    return { type: "items" as const, job: lease.job, fence: lease.fence, batch, items: done };
  };
  const spanDone = (lease: Lease, batches: number) => result(lease, { kind: "generate", batches });

  test("go in spans of batches, each committed whole and once", async () => {
    const pool = freshPool();
    const submit = evaluationSubmit([2, 1, 1, 1, 1]);
    expect(await pool.submitEvaluation(submit)).toMatchObject({ ok: true, value: { resource: { status: "queued" } } });
    const worker = await FakeWorker.connect(pool);
    const first = await worker.lease();
    expect(first.payload).toMatchObject({
      kind: "generate",
      evaluation: submit.id,
      batches: submit.batches.slice(0, 4),
    });
    expect(await pool.getEvaluation(PROJECT, submit.id)).toMatchObject({ status: "running", done: 0, job: submit.job });
    for (const batch of [0, 1, 2, 3]) expect((await worker.ask(items(first, batch))).status).toBe("ok");
    expect((await worker.ask(items(first, 2))).status).toBe("duplicate");
    expect(await pool.getEvaluation(PROJECT, submit.id)).toMatchObject({ done: 5 });
    expect(await pool.getJob(PROJECT, submit.job)).toMatchObject({ status: "running", progress: null });
    await worker.ask(spanDone(first, 4));
    const second = await worker.lease();
    expect(second).toMatchObject({ fence: 1, attempt: 1, payload: { batches: submit.batches.slice(4) } });
    await worker.ask(items(second, 4));
    await worker.ask(spanDone(second, 1));
    expect(await pool.getEvaluation(PROJECT, submit.id)).toMatchObject({ status: "completed", done: 6, metrics: null });
    expect(await pool.getJob(PROJECT, submit.job)).toMatchObject({ status: "completed", subject: submit.id });
    expect(await sql(pool, "SELECT meter, total FROM usage")).toEqual([{ meter: "tokens_generated", total: 12 }]);
    const kinds = await sql<{ kind: string }>(pool, "SELECT kind FROM outbox WHERE topic = ? ORDER BY seq", submit.id);
    expect(kinds.map((row) => row.kind)).toEqual(["items", "items", "items", "items", "items", "evaluation"]);
    expect(await pool.deleteEvaluation(PROJECT, submit.id)).toEqual({ ok: true, value: null });
    expect(await pool.getEvaluation(PROJECT, submit.id)).toBeNull();
  });

  test("another worker generates only what is not committed", async () => {
    const pool = freshPool();
    const submit = evaluationSubmit([1, 1, 1]);
    await pool.submitEvaluation(submit);
    const worker = await FakeWorker.connect(pool);
    const lease = await worker.lease();
    await worker.ask(items(lease, 1));
    await worker.vanish(pool);
    await later(pool, 5001);
    const other = await FakeWorker.connect(pool, { fingerprint: "f2" });
    const rest = await other.lease();
    expect(rest).toMatchObject({ fence: 2, payload: { batches: [{ batch: 0 }, { batch: 2 }] } });
    for (const batch of [0, 2]) await other.ask(items(rest, batch));
    await other.ask(spanDone(rest, 2));
    expect(await pool.getEvaluation(PROJECT, submit.id)).toMatchObject({ status: "completed", done: 3 });
  });

  test("items that are not the batch's break the protocol", async () => {
    const pool = freshPool();
    await pool.submitEvaluation(evaluationSubmit([2]));
    const worker = await FakeWorker.connect(pool);
    const lease = await worker.lease();
    const wrong = items(lease, 0);
    worker.post({ ...wrong, items: wrong.items.slice(1) });
    await worker.until(() => worker.closed !== null);
    expect(worker.closed?.code).toBe(1008);
  });

  test("cancel, delete, fail and retry", async () => {
    const pool = freshPool();
    const submit = evaluationSubmit([1, 1]);
    await pool.submitEvaluation(submit);
    expect(await pool.deleteEvaluation(PROJECT, submit.id)).toMatchObject({ ok: false, code: "in_use" });
    const worker = await FakeWorker.connect(pool);
    const lease = await worker.lease();
    await worker.ask(items(lease, 0));
    await worker.ask(fail(lease, false));
    expect(await pool.getEvaluation(PROJECT, submit.id)).toMatchObject({ status: "failed", error: { code: "broken" } });
    await pool.retryJob(PROJECT, submit.job, "job_again");
    expect(await pool.getEvaluation(PROJECT, submit.id)).toMatchObject({ job: "job_again", error: null, done: 1 });
    const again = await worker.lease();
    expect(again.payload).toMatchObject({ batches: [{ batch: 1 }] });
    expect(await pool.cancelEvaluation(PROJECT, submit.id)).toMatchObject({ ok: true, value: { status: "cancelled" } });
    expect((await worker.ask(items(again, 1))).status).toBe("stale_fence");
    expect(await pool.getJob(PROJECT, "job_again")).toMatchObject({ status: "cancelled" });
    expect(await pool.cancelEvaluation("proj_b", submit.id)).toMatchObject({ ok: false, code: "not_found" });
  });

  test("a batch that no frame could carry is refused", async () => {
    const pool = freshPool();
    const submit = evaluationSubmit([1]);
    submit.batches[0]!.items[0]!.prompt = "x".repeat(1024 * 1024);
    expect(await pool.submitEvaluation(submit)).toMatchObject({ ok: false, code: "too_large" });
  });
});

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
      [JSON.stringify({ type: "x", pad: "é".repeat(600_000) }), 1009, /bytes/],
    ];
    for (const [data, code, reason] of cases) {
      const worker = await FakeWorker.dial(pool);
      worker.raw(data);
      await worker.until(() => worker.closed !== null);
      expect(worker.closed?.code).toBe(code);
      expect(worker.closed?.reason).toMatch(reason);
    }
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
