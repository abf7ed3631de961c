// Which protocol a worker and the pool speak, and what a worker of 0.1.0, which speaks the first, is sent.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { MAX_BOOT_LEASES } from "../../src/config.ts";
import { PROTOCOLS } from "../../src/wire/pool.ts";
import firstToWorker from "../wire/fixtures/0.1.0/to_worker.schema.json" with { type: "json" };
import { FakeWorker } from "./fake-worker.ts";
import { PROJECT, result, runSubmit, scoreJob, scorePayload, steps } from "./fixtures.ts";
import { clock, freshPool, settled, sql } from "./harness.ts";
import { trainAll } from "./trainer.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

/** Everything that 0.1.0's worker reads; it refuses what it does not know. */
const FirstToWorker = z.fromJSONSchema(z.record(z.string(), z.any()).parse(firstToWorker));

function expectReadable(worker: FakeWorker): void {
  for (const frame of worker.frames) expect(FirstToWorker.safeParse(frame).error).toBeUndefined();
}

describe("the protocol of a socket", () => {
  test.each<[[number, number], number]>([
    [[1, 1], 1],
    [[2, 2], 2],
    [[1, 9], PROTOCOLS.newest],
  ])("a worker of %j speaks %i", async (protocols, spoken) => {
    const worker = await FakeWorker.dial(freshPool());
    expect((await worker.hello({ protocols })).protocol).toBe(spoken);
  });

  test("a worker that speaks none of the pool's is told who must be upgraded", async () => {
    const worker = await FakeWorker.dial(freshPool());
    await expect(worker.hello({ protocols: [8, 9] })).rejects.toThrow(/1008 .*8 to 9.*upgrade the service/);
  });

  test("what a later worker adds to its frames is left unread", async () => {
    const pool = freshPool();
    const worker = await FakeWorker.connect(pool);
    worker.raw(JSON.stringify({ type: "progress", seq: 50, jobs: [], mood: "good" }));
    expect((await worker.next((frame) => frame.type === "ack" && frame.re === 50)).type).toBe("ack");
  });
});

describe("a worker of 0.1.0", () => {
  test("does what it can do, in frames that it can read", async () => {
    const pool = freshPool();
    const worker = await FakeWorker.connect(pool, { protocols: [1, 1], requests: 2 });
    await pool.submitJob(scoreJob());
    expect((await worker.ask(result(await worker.lease()))).status).toBe("ok");
    const run = await started(pool);
    await sql(pool, "UPDATE runs SET plan = json_remove(plan, '$[0].share_prefixes')");
    await pool.takeSteps(steps(run, { to: 3 }));
    const done = async (): Promise<boolean> => (await pool.getRun(PROJECT, run))?.head === 3;
    await trainAll(worker, done);
    expect(await pool.getRun(PROJECT, run)).toMatchObject({ head: 3, status: "completed" });
    expectReadable(worker);
  });

  test("is given no run whose plan it does not know", async () => {
    const pool = freshPool();
    const first = await FakeWorker.connect(pool, { protocols: [1, 1] });
    const run = await started(pool);
    await pool.takeSteps(steps(run, { to: 3 }));
    await first.ask({ type: "progress", jobs: [] });
    expect(first.offered).toBe(0);
    const second = await FakeWorker.connect(pool);
    expect((await second.lease()).payload).toMatchObject({ plan: [{ share_prefixes: true }] });
  });

  test("is given no more leases than it can name in one frame", async () => {
    const pool = freshPool();
    for (let i = 0; i < 70; i += 1) await pool.submitJob(scoreJob({ payload: scorePayload() }));
    const worker = await FakeWorker.connect(pool, { protocols: [1, 1], slots: 4, requests: 256 });
    await worker.until(() => worker.offered === 60);
    await settled(pool);
    expect(worker.offered).toBe(60);
  });
});

test("a worker of the present protocol ticks all leases that it has room for in one frame", async () => {
  const pool = freshPool();
  const most = MAX_BOOT_LEASES - 64;
  for (let i = 0; i < most + 1; i += 1) await pool.submitJob(scoreJob({ payload: scorePayload() }));
  const worker = await FakeWorker.connect(pool, { slots: 64, requests: 256 });
  await worker.until(() => worker.offered === most);
  await settled(pool);
  const held = worker.frames.flatMap((frame) =>
    frame.type === "lease" ? [{ job: frame.job, fence: frame.fence }] : [],
  );
  const jobs = held.map((lease) => ({ ...lease, tick: 1, phase: "working" as const, done: 0, total: 1 }));
  const ack = await worker.ask({ type: "progress", jobs });
  expect(ack.jobs.filter(({ status }) => status === "ok")).toHaveLength(most);
  const again = await FakeWorker.dial(pool, { boot: worker.boot });
  const { reconcile } = await again.hello({ slots: 64, requests: 256, leases: held });
  expect(reconcile.filter(({ action }) => action === "keep")).toHaveLength(most);
});

async function started(pool: ReturnType<typeof freshPool>): Promise<string> {
  const submit = runSubmit({ total: 3 });
  await pool.submitRun(submit);
  return submit.id;
}
