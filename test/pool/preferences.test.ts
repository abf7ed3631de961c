// Preference evaluations over real sockets: the same spans of batches, committed by frames of their own.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Lease } from "../../src/wire/pool.ts";
import { FakeWorker } from "./fake-worker.ts";
import { PROJECT, evaluationSubmit, fail, preferenceSubmit, result } from "./fixtures.ts";
import { clock, freshPool, later, sql } from "./harness.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

const side = (response: string | null) => ({
  response,
  finish_reason: response === null ? null : ("stop" as const),
  num_tokens: 3,
  teacher_logprob: -2,
  student_logprob: -3,
});

function pairs(lease: Lease, batch: number) {
  if (lease.payload?.kind !== "prefer") throw new Error("not a prefer lease");
  const asked = lease.payload.batches.find((entry) => entry.batch === batch)?.items ?? [];
  const items = asked.map(({ item, seed, pair }) => {
    const response = pair === null ? "hello" : null;
    return { item, seed, chosen: side(response), rejected: side(response) };
  });
  return { type: "pairs" as const, job: lease.job, fence: lease.fence, batch, items };
}
const spanDone = (lease: Lease, batches: number) => result(lease, { kind: "prefer", batches });

describe("preference evaluations", () => {
  test("go in spans of batches, each committed whole and once", async () => {
    const pool = freshPool();
    const submit = preferenceSubmit([2, 1, 1, 1, 1]);
    expect(await pool.submitEvaluation(submit)).toMatchObject({ ok: true, value: { resource: { status: "queued" } } });
    const worker = await FakeWorker.connect(pool);
    const first = await worker.lease();
    expect(first.payload).toEqual({ ...submit.payload, batches: submit.batches.slice(0, 4) });
    for (const batch of [0, 1, 2, 3]) expect((await worker.ask(pairs(first, batch))).status).toBe("ok");
    expect((await worker.ask(pairs(first, 2))).status).toBe("duplicate");
    expect(await pool.getEvaluation(PROJECT, submit.id)).toMatchObject({ status: "running", done: 5 });
    await worker.ask(spanDone(first, 4));
    const second = await worker.lease();
    expect(second).toMatchObject({ fence: 1, attempt: 1, payload: { batches: submit.batches.slice(4) } });
    await worker.ask(pairs(second, 4));
    await worker.ask(spanDone(second, 1));
    expect(await pool.getEvaluation(PROJECT, submit.id)).toMatchObject({ status: "completed", done: 6, metrics: null });
    // Both responses are scored, three tokens each; none was generated.
    expect(await sql(pool, "SELECT meter, total FROM usage")).toEqual([{ meter: "tokens_scored", total: 36 }]);
    const kinds = await sql<{ kind: string }>(pool, "SELECT kind FROM outbox WHERE topic = ? ORDER BY seq", submit.id);
    expect(kinds.at(0)?.kind).toBe("evaluation");
    expect(kinds.at(-1)?.kind).toBe("evaluation");
    expect(kinds.filter((row) => row.kind === "pairs")).toHaveLength(5);
    expect(await pool.deleteEvaluation(PROJECT, submit.id)).toEqual({ ok: true, value: null });
    const [deleted] = await sql<{ entry: string }>(pool, "SELECT entry FROM outbox WHERE kind = 'deleted'");
    expect(JSON.parse(deleted!.entry)).toMatchObject({ resource: "preference_evaluation", id: submit.id });
  });

  test("count what was generated too", async () => {
    const pool = freshPool();
    await pool.submitEvaluation(preferenceSubmit([1], true));
    const worker = await FakeWorker.connect(pool);
    await worker.ask(pairs(await worker.lease(), 0));
    expect(await sql(pool, "SELECT meter, total FROM usage ORDER BY meter")).toEqual([
      { meter: "tokens_generated", total: 6 },
      { meter: "tokens_scored", total: 6 },
    ]);
  });

  test("another worker scores only what is not committed", async () => {
    const pool = freshPool();
    const submit = preferenceSubmit([1, 1, 1]);
    await pool.submitEvaluation(submit);
    const worker = await FakeWorker.connect(pool);
    const lease = await worker.lease();
    await worker.ask(pairs(lease, 1));
    await worker.vanish(pool);
    const other = await FakeWorker.connect(pool);
    await later(pool, 6_000);
    const taken = await other.lease();
    expect(taken).toMatchObject({ fence: 2, attempt: 2 });
    expect(taken.payload).toMatchObject({ batches: [{ batch: 0 }, { batch: 2 }] });
  });

  test.each([
    [
      "items in place of pairs",
      (lease: Lease) => ({
        ...pairs(lease, 0),
        type: "items" as const,
        items: [{ item: "row-0-0", seed: 10, response: "", finish_reason: "stop" as const, num_tokens: 1 }],
      }),
    ],
    ["pairs of other items", (lease: Lease) => ({ ...pairs(lease, 0), items: pairs(lease, 1).items })],
  ])("%s break the protocol", async (_, frame) => {
    const pool = freshPool();
    const submit = preferenceSubmit([1, 1]);
    await pool.submitEvaluation(submit);
    const worker = await FakeWorker.connect(pool);
    worker.post(frame(await worker.lease()));
    await worker.until(() => worker.closed !== null);
    expect(await pool.getEvaluation(PROJECT, submit.id)).toMatchObject({ done: 0 });
  });

  test("pairs do not commit a batch of responses", async () => {
    const pool = freshPool();
    await pool.submitEvaluation(evaluationSubmit([1]));
    const worker = await FakeWorker.connect(pool);
    const { job, fence } = await worker.lease();
    const items = [{ item: "row-0-0", seed: 10, chosen: side("a"), rejected: side("b") }];
    worker.post({ type: "pairs", job, fence, batch: 0, items });
    await worker.until(() => worker.closed !== null);
  });

  test("fail with their job, and are taken up again by its retry", async () => {
    const pool = freshPool();
    const submit = preferenceSubmit([1, 1]);
    await pool.submitEvaluation(submit);
    const worker = await FakeWorker.connect(pool);
    const lease = await worker.lease();
    await worker.ask(pairs(lease, 0));
    await worker.ask(fail(lease, false));
    expect(await pool.getEvaluation(PROJECT, submit.id)).toMatchObject({ status: "failed", done: 1 });
    await pool.retryJob(PROJECT, submit.job, "job_retry");
    const again = await worker.lease();
    expect(again.payload).toMatchObject({ kind: "prefer", batches: [{ batch: 1 }] });
    await worker.ask(pairs(again, 1));
    await worker.ask(spanDone(again, 1));
    expect(await pool.getEvaluation(PROJECT, submit.id)).toMatchObject({
      status: "completed",
      done: 2,
      job: "job_retry",
    });
  });
});
