// A scripted worker over a real WebSocket: how it is greeted, leased to, and believed.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeWorker, PROJECT, clock, freshPool, scoreJob, scoreOutput } from "./harness.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

describe("a score job", () => {
  test("hello, lease, result", async () => {
    const pool = freshPool();
    const job = scoreJob();
    const submitted = await pool.submitJob(job);
    expect(submitted).toMatchObject({ ok: true, value: { replayed: false, resource: { status: "queued", position: 0, workers_available: 0 } } });
    const worker = await FakeWorker.connect(pool);
    const lease = await worker.lease();
    expect(lease).toMatchObject({ job: job.id, project: PROJECT, attempt: 1, fence: 1, lineage: null, payload: job.payload });
    expect(await pool.getJob(PROJECT, job.id)).toMatchObject({ status: "running", position: null, attempts: 1 });
    const waiting = pool.waitJob(PROJECT, job.id, 5000);
    const ack = await worker.ask({ type: "result", job: job.id, fence: 1, lineage: null, output: scoreOutput, artifact: null });
    expect(ack.status).toBe("ok");
    expect(await waiting).toMatchObject({ status: "completed", output: scoreOutput, request: job.request, progress: null });
    worker.close();
  });
});
