// The object dies with all its sockets, and nobody is told: as in a deploy, or when the local stack stops.
import { abortAllDurableObjects } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeWorker } from "./fake-worker.ts";
import { PROJECT, result, scoreJob, unique } from "./fixtures.ts";
import { clock, later } from "./harness.ts";
import type { Stub } from "./harness.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

test("workers of before are not there any more, and their jobs go to another", async () => {
  const id = env.POOL.idFromName(unique("pool"));
  let pool: Stub = env.POOL.get(id);
  const before = await FakeWorker.connect(pool);
  await pool.submitJob(scoreJob());
  const lost = await before.lease();
  await abortAllDurableObjects();
  pool = env.POOL.get(id);
  expect(await pool.workers(PROJECT)).toEqual([]);
  const after = await FakeWorker.connect(pool);
  await later(pool, 29_000);
  expect(after.offered).toBe(0);
  await later(pool, 1001);
  const lease = await after.lease();
  expect(lease).toMatchObject({ job: lost.job, fence: 2 });
  expect((await after.ask(result(lease))).status).toBe("ok");
});

test("a worker that dials again within the grace keeps its lease, whatever the pool missed meanwhile", async () => {
  const id = env.POOL.idFromName(unique("pool"));
  let pool: Stub = env.POOL.get(id);
  const before = await FakeWorker.connect(pool);
  await pool.submitJob(scoreJob());
  const lease = await before.lease();
  await abortAllDurableObjects();
  clock.pass(120_000);
  pool = env.POOL.get(id);
  expect(await pool.workers(PROJECT)).toEqual([]);
  await later(pool, 15_000);
  const after = await FakeWorker.dial(pool, { boot: before.boot });
  const held = { job: lease.job, fence: lease.fence };
  expect((await after.hello({ leases: [held] })).reconcile).toEqual([{ ...held, action: "keep" }]);
  expect((await after.ask(result(lease))).status).toBe("ok");
});
