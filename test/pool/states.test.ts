// What has ended stays as it ended, whatever is asked of it afterwards.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { evaluationMay, jobMay, runMay, terminal } from "../../src/pool/states.ts";
import { Status } from "../../src/wire/common.ts";
import { FakeWorker } from "./fake-worker.ts";
import { PROJECT, evaluationSubmit, fail, scoreJob } from "./fixtures.ts";
import { clock, freshPool } from "./harness.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

describe("the tables", () => {
  test("let nothing follow an end, but a failed run or evaluation be taken up again", () => {
    for (const from of Status.options.filter(terminal)) {
      for (const to of Status.options) {
        expect(jobMay(from, to)).toBe(false);
        expect(runMay(from, to)).toBe(false);
        expect(evaluationMay(from, to)).toBe(from === "failed" && to === "queued");
      }
      expect(runMay(from, "ready")).toBe(from === "failed");
    }
  });
});

test("a failed job is retried once; then its retry is", async () => {
  const pool = freshPool();
  const job = scoreJob();
  await pool.submitJob(job);
  const worker = await FakeWorker.connect(pool);
  await worker.ask(fail(await worker.lease(), false));
  expect(await pool.retryJob(PROJECT, job.id, "job_second")).toMatchObject({ ok: true });
  expect(await pool.retryJob(PROJECT, job.id, "job_second")).toMatchObject({ ok: true, value: { id: "job_second" } });
  expect(await pool.retryJob(PROJECT, job.id, "job_third")).toMatchObject({ ok: false, code: "not_retryable" });
  await worker.ask(fail(await worker.lease(), false));
  expect(await pool.retryJob(PROJECT, "job_second", "job_third")).toMatchObject({ ok: true });
});

describe("an evaluation whose job failed and was retried", () => {
  async function retried() {
    const pool = freshPool();
    const submit = evaluationSubmit([2, 1]);
    await pool.submitEvaluation(submit);
    const worker = await FakeWorker.connect(pool);
    await worker.ask(fail(await worker.lease(), false));
    expect(await pool.getEvaluation(PROJECT, submit.id)).toMatchObject({ status: "failed" });
    expect(await pool.retryJob(PROJECT, submit.job, "job_again")).toMatchObject({ ok: true });
    return { pool, submit, worker, lease: await worker.lease() };
  }

  test("is not begun anew by a second retry, in work or completed", async () => {
    const { pool, submit, worker, lease } = await retried();
    expect(await pool.retryJob(PROJECT, submit.job, "job_third")).toMatchObject({ ok: false, code: "not_retryable" });
    if (lease.payload?.kind !== "generate") throw new Error("no batches");
    for (const { batch, items } of lease.payload.batches) {
      const answers = items.map(({ item, seed }) => {
        return { item, seed, response: "a", finish_reason: "stop" as const, num_tokens: 1 };
      });
      await worker.ask({ type: "items", job: lease.job, fence: lease.fence, batch, items: answers });
    }
    const output = { kind: "generate" as const, batches: lease.payload.batches.length };
    await worker.ask({ type: "result", job: lease.job, fence: lease.fence, lineage: null, output, artifact: null });
    expect(await pool.getEvaluation(PROJECT, submit.id)).toMatchObject({ status: "completed" });
    for (const id of [submit.job, "job_again"]) {
      const again = await pool.retryJob(PROJECT, id, `retry_of_${id}`);
      expect(again).toMatchObject({ ok: false, code: "not_retryable" });
      await pool.cancelJob(PROJECT, id);
    }
    await pool.cancelEvaluation(PROJECT, submit.id);
    expect(await pool.getEvaluation(PROJECT, submit.id)).toMatchObject({ status: "completed", job: "job_again" });
  });

  test("that was cancelled stays so", async () => {
    const { pool, submit } = await retried();
    await pool.cancelEvaluation(PROJECT, submit.id);
    expect(await pool.retryJob(PROJECT, "job_again", "job_third")).toMatchObject({ ok: false, code: "not_retryable" });
    expect(await pool.getEvaluation(PROJECT, submit.id)).toMatchObject({ status: "cancelled" });
  });
});
