// What ends a lease without the worker's word: what is the job's own doing, and what is not.
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeWorker } from "./fake-worker.ts";
import { PROJECT, scoreJob } from "./fixtures.ts";
import { clock, later, sql } from "./harness.ts";
import type { Stub } from "./harness.ts";
import { begin } from "./trainer.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

/** The job's next lease, after the pause before it. */
async function leaseAgain(pool: Stub, worker: FakeWorker, job: string): Promise<number> {
  const [row] = await sql<{ not_before: number }>(pool, "SELECT not_before FROM jobs WHERE id = ?", job);
  await later(pool, Math.max(0, (row?.not_before ?? 0) - Date.now()));
  const frame = await worker.next((candidate) => candidate.type === "lease" && candidate.job === job);
  if (frame.type !== "lease") throw new Error("no lease");
  return frame.fence;
}

const counts = (pool: Stub, job: string) =>
  sql(pool, "SELECT deaths, failures, interruptions FROM jobs WHERE id = ?", job);

test("a link that drops again and again between two steps is no fault of the run", async () => {
  const { pool, run, job, worker, trainer } = await begin();
  await trainer.step(1);
  let link = worker;
  for (let drops = 1; drops <= 6; drops += 1) {
    await link.vanish(pool);
    await later(pool, 5001);
    link = await FakeWorker.connect(pool, { boot: worker.boot });
    expect(await leaseAgain(pool, link, job)).toBe(drops + 1);
  }
  expect(await counts(pool, job)).toEqual([{ deaths: 0, failures: 0, interruptions: 6 }]);
  expect(await pool.getRun(PROJECT, run)).toMatchObject({ head: 1, error: null });
});

test("a process that ends is a death of what it computed, and an interruption of what it held", async () => {
  const { pool, run, job, worker } = await begin();
  const held = scoreJob();
  await pool.submitJob(held);
  await worker.vanish(pool);
  await later(pool, 5001);
  // A supervisor starts it again each time: another boot under the same name.
  for (const deaths of [0, 1, 2]) {
    const box = await FakeWorker.connect(pool, { name: "box" });
    expect((await pool.getJob(PROJECT, job))?.status === "failed").toBe(deaths === 2);
    if (deaths === 2) {
      await leaseAgain(pool, box, held.id);
      break;
    }
    expect(await counts(pool, job)).toMatchObject([{ deaths }]);
    const tick = { tick: 1, done: 0, total: 1 };
    const jobs = [
      { job, fence: await leaseAgain(pool, box, job), phase: "working" as const, ...tick },
      { job: held.id, fence: await leaseAgain(pool, box, held.id), phase: "loading" as const, ...tick },
    ];
    await box.ask({ type: "progress", jobs });
    await box.vanish(pool);
    await later(pool, 5001);
  }
  const error = (await pool.getRun(PROJECT, run))?.error;
  expect(error).toMatchObject({ code: "poisoned" });
  expect(error?.message).toContain("2 workers died at it");
  expect(await counts(pool, held.id)).toMatchObject([{ deaths: 0 }]);
});

test("what stands still while it loads or uploads waits for a store: no death", async () => {
  const { pool, job, worker, trainer } = await begin();
  let { fence } = trainer.lease;
  for (let hung = 1; hung <= 3; hung += 1) {
    const jobs = [{ job, fence, tick: 1, phase: "uploading" as const, done: 0, total: 1 }];
    await worker.ask({ type: "progress", jobs });
    for (let passed = 0; passed < 60_000; passed += 20_000) {
      await later(pool, 20_000);
      await worker.ask({ type: "progress", jobs });
    }
    fence = await leaseAgain(pool, worker, job);
  }
  expect(await counts(pool, job)).toEqual([{ deaths: 0, failures: 0, interruptions: 3 }]);
});
