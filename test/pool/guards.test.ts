// What stands between a pool and workers that are late, double, or not who they say they are.
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ALARM_RETRY_MS, MAX_PROJECT_WAITERS, MAX_WAITERS } from "../../src/config.ts";
import { cancelJob, completeJob } from "../../src/pool/endings.ts";
import { decideFrom } from "../../src/pool/frames/index.ts";
import { FakeWorker } from "./fake-worker.ts";
import { PROJECT, result, scoreJob, scoreOutput } from "./fixtures.ts";
import { clock, freshPool, settled, sql } from "./harness.ts";
import { Simulation } from "./simulation.ts";
import { begin } from "./trainer.ts";

beforeEach(() => clock.start());
afterEach(() => {
  clock.stop();
  vi.restoreAllMocks();
});

describe("a frame", () => {
  test("of another boot changes nothing, though it names the lease and its fence", async () => {
    const pool = freshPool();
    const job = scoreJob();
    await pool.submitJob(job);
    const holder = await FakeWorker.connect(pool);
    const lease = await holder.lease();
    const other = await FakeWorker.connect(pool);
    expect((await other.ask(result(lease))).status).toBe("stale_fence");
    expect((await holder.ask({ ...result(lease), fence: lease.fence + 1 })).status).toBe("stale_fence");
    expect((await pool.getJob(PROJECT, job.id))?.status).toBe("running");
    expect((await holder.ask(result(lease))).status).toBe("ok");
  });

  test("of an older socket of a boot is not decided", async () => {
    await runInDurableObject(freshPool(), (_instance, { storage }) => {
      const sim = new Simulation(storage);
      const [worker] = sim.workers;
      sim.connect(worker!);
      const frame = { type: "progress" as const, seq: 1, jobs: [] };
      const from = (socket: string) =>
        sim.turn((turn) => decideFrom(turn, { boot: worker!.boot, socket }, frame, null));
      expect(from("an older one")).toHaveProperty("violation");
      expect(from(worker!.socket!)).toHaveProperty("ack");
    });
  });

  test("comes too late once its lease's time is over, before the clock has come to it", async () => {
    const { trainer } = await begin();
    clock.pass(30_001);
    expect((await trainer.step(1)).status).toBe("stale_fence");
  });
});

test("a job that has ended does not end again, whatever a caller still thinks of it", async () => {
  await runInDurableObject(freshPool(), (_instance, { storage }) => {
    const sim = new Simulation(storage);
    const { jobs } = sim.tables;
    const [job] = jobs.all("run = ?", sim.run);
    sim.turn((turn) => cancelJob(turn, job!));
    sim.turn((turn) => completeJob(turn, job!, { ...scoreOutput }, null));
    expect(jobs.get(job!.id)?.status).toBe("cancelled");
  });
});

test("what follows in a topic waits for what failed before it, and other topics do not", async () => {
  await runInDurableObject(freshPool(), (_instance, { storage }) => {
    const { outbox } = new Simulation(storage).tables;
    outbox.remove("true");
    const row = (seq: number, topic: string) => {
      const entry = { kind: "comparisons" as const, project: PROJECT, evaluation: topic };
      return { seq, topic, kind: "comparisons", entry, attempts: 0, next_at: 1, error: null };
    };
    for (const one of [row(1, "a"), row(2, "a"), row(3, "b")]) outbox.insert(one);
    outbox.park(row(1, "a"), 500, "D1 is away");
    expect(outbox.ready(10, 9).map(({ seq }) => seq)).toEqual([3]);
    expect(outbox.after("a")).toBe(500);
    expect(outbox.ready(500, 9).map(({ seq }) => seq)).toEqual([3, 1, 2]);
  });
});

test("of all projects together so many may wait", async () => {
  const pool = freshPool();
  const projects = Array.from({ length: MAX_WAITERS / MAX_PROJECT_WAITERS + 1 }, (_, i) => `proj_${i}`);
  const jobs = projects.map((project) => scoreJob({ project }));
  for (const job of jobs) await pool.submitJob(job);
  const last = jobs.pop()!;
  const waiting = jobs.flatMap(({ project, id }) =>
    Array.from({ length: MAX_PROJECT_WAITERS }, () => pool.waitJob(project, id, 60_000)),
  );
  expect(await pool.waitJob(last.project, last.id, 60_000)).toMatchObject({ status: "queued" });
  for (const { project, id } of jobs) await pool.cancelJob(project, id);
  expect(new Set((await Promise.all(waiting)).map((job) => job?.status))).toEqual(new Set(["cancelled"]));
});

test("an alarm that fails does not throw, and rings again", async () => {
  const pool = freshPool();
  await pool.submitJob(scoreJob());
  await settled(pool);
  const error = vi.spyOn(console, "error").mockImplementation(() => undefined);
  await pool.submitJob(scoreJob());
  await sql(pool, "ALTER TABLE outbox RENAME TO gone");
  await settled(pool);
  expect(String(error.mock.calls.at(-1)?.[0])).toContain("pool_alarm_failed");
  const alarm = await runInDurableObject(pool, (_instance, { storage }) => storage.getAlarm());
  expect(alarm).toBe(Date.now() + ALARM_RETRY_MS);
  await sql(pool, "ALTER TABLE gone RENAME TO outbox");
  await settled(pool);
});
