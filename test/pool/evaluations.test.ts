// Evaluations over real sockets: spans of batches, each committed whole and once.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Lease } from "../../src/wire/pool.ts";
import { FakeWorker } from "./fake-worker.ts";
import { evaluationSubmit, fail, PROJECT, result } from "./fixtures.ts";
import { clock, freshPool, later, sql } from "./harness.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

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
    // The evaluation comes before its items, and its end after them all.
    expect(kinds[0]?.kind).toBe("evaluation");
    expect(kinds.at(-1)?.kind).toBe("evaluation");
    expect(kinds.filter((row) => row.kind === "items")).toHaveLength(5);
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
