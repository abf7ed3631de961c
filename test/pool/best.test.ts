// A run's evaluated checkpoints, and which of them is the best.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FINGERPRINT_WAIT_MS } from "../../src/config.ts";
import type { BestCheckpoint } from "../../src/wire/runs.ts";
import { FakeWorker } from "./fake-worker.ts";
import { PROJECT, sha } from "./fixtures.ts";
import { clock, later, sql } from "./harness.ts";
import { begin, lastLease, trainAll } from "./trainer.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

const candidate = (step: number, value: number, lineage = 0): BestCheckpoint => {
  return { step, lineage, value, evaluation: `ev_${step}x${lineage}x${value * 10}` };
};

/** A completed run of six steps with a checkpoint at each evaluation. */
async function evaluated() {
  const begun = await begin({ total: 6, evaluate: 2 });
  const { pool, run, worker, trainer } = begun;
  await trainer.honest();
  await trainAll(worker, async () => (await pool.getRun(PROJECT, run))?.status === "completed");
  const record = async (...about: Parameters<typeof candidate>) =>
    (await pool.recordBest(PROJECT, run, candidate(...about)))?.best ?? null;
  return { ...begun, record };
}

describe("the best checkpoint", () => {
  test("a checkpoint is made at each evaluation, at each of the run's own, and at the end", async () => {
    const { pool, run } = await evaluated();
    const steps = () => sql<{ step: number }>(pool, "SELECT step FROM states WHERE kind = 'checkpoint' ORDER BY step");
    expect(await steps()).toEqual([{ step: 2 }, { step: 4 }, { step: 6 }]);
    expect((await pool.getRun(PROJECT, run))?.evaluation).toMatchObject({ every: 2 });
    const both = await begin({ total: 7, every: 3, evaluate: 2 });
    await both.trainer.honest();
    const leases = await trainAll(both.worker, async () => {
      return (await both.pool.getRun(PROJECT, both.run))?.status === "completed";
    });
    const at = leases.flatMap(({ payload }) => (payload?.kind === "train" ? payload.checkpoint_at : []));
    expect(at).toEqual([2, 3, 4, 6, 7]);
  });

  test("is the greatest value in whatever order they come; a tie goes to the earlier step", async () => {
    const { pool, run, record } = await evaluated();
    expect(await pool.getRun(PROJECT, run)).toMatchObject({ best: null });
    expect(await pool.getCheckpoint(PROJECT, run, "best")).toBeNull();
    expect(await record(4, 30)).toEqual(candidate(4, 30));
    expect(await record(6, 20)).toEqual(candidate(4, 30));
    expect(await record(6, 30)).toEqual(candidate(4, 30));
    expect(await record(2, 30)).toEqual(candidate(2, 30));
    expect(await record(6, 30.5)).toEqual(candidate(6, 30.5));
    // An evaluation repeated, and one that came out worse, change nothing.
    expect(await record(6, 1)).toEqual(candidate(6, 30.5));
    expect(await record(4, 30)).toEqual(candidate(6, 30.5));
    expect((await pool.getCheckpoint(PROJECT, run, "best"))?.checkpoint).toMatchObject({ id: `${run}@6`, step: 6 });
    expect(await pool.getCheckpoint("proj_b", run, "best")).toBeNull();
    const page = await pool.events(PROJECT, run, 0, 0);
    const told = page?.events.flatMap((event) => (event.type === "best" ? [event.data] : []));
    expect(told).toEqual([candidate(4, 30), candidate(2, 30), candidate(6, 30.5)]);
    const [entry] = await sql<{ entry: string }>(pool, "SELECT entry FROM outbox WHERE kind = 'run' ORDER BY seq DESC");
    expect(JSON.parse(entry!.entry)).toMatchObject({ run: { id: run, status: "completed", best: candidate(6, 30.5) } });
  });

  test("telling it again changes nothing at all", async () => {
    const { pool, run, record } = await evaluated();
    await record(4, 30);
    const all = async () => [
      await sql(pool, "SELECT * FROM candidates"),
      await sql(pool, "SELECT * FROM events"),
      await sql(pool, "SELECT seq, entry FROM outbox"),
      await pool.getRun(PROJECT, run),
    ];
    const before = await all();
    expect(await record(4, 30)).toEqual(candidate(4, 30));
    expect(await all()).toEqual(before);
  });

  test("needs the checkpoint to be there, and the run to be the project's", async () => {
    const { pool, run, record } = await evaluated();
    expect(await record(3, 99)).toBeNull();
    expect(await record(2, 99, 1)).toBeNull();
    expect(await pool.recordBest("proj_b", run, candidate(2, 99))).toBeNull();
    expect(await pool.recordBest(PROJECT, "run_none", candidate(2, 99))).toBeNull();
    expect(await pool.getRun(PROJECT, run)).toMatchObject({ best: null });
    await record(2, 10);
    await pool.deleteRun(PROJECT, run);
    expect(await sql(pool, "SELECT * FROM candidates")).toEqual([]);
    expect(await pool.recordBest(PROJECT, run, candidate(2, 10))).toBeNull();
  });

  test("a new lineage leaves only what comes before it; a superseded checkpoint is no candidate any more", async () => {
    const { pool, run, worker, trainer } = await begin({ every: 1 });
    await trainer.honest();
    const second = await lastLease(worker);
    await second.step(2);
    await second.checkpoint(2);
    await second.resume(2);
    await second.step(3);
    await second.checkpoint(3);
    const record = async (about: BestCheckpoint) => (await pool.recordBest(PROJECT, run, about))?.best ?? null;
    await record(candidate(1, 5));
    await record(candidate(2, 4));
    expect(await record(candidate(3, 90))).toEqual(candidate(3, 90));
    await worker.vanish(pool);
    await later(pool, 5001);
    const other = await FakeWorker.connect(pool, { fingerprint: "f2" });
    await later(pool, FINGERPRINT_WAIT_MS + 1);
    const taken = await lastLease(other);
    expect(taken.lease.lineage).toBe(1);
    expect((await pool.getRun(PROJECT, run))?.best).toEqual(candidate(1, 5));
    expect((await pool.getCheckpoint(PROJECT, run, "best"))?.checkpoint.id).toBe(`${run}@1`);
    // The old lineage's evaluation settles late, again.
    expect(await record(candidate(3, 90))).toEqual(candidate(1, 5));
    await taken.step(3, { hash: sha("3 in f2") });
    await taken.checkpoint(3, " f2");
    expect(await record(candidate(3, 7, 1))).toEqual(candidate(3, 7, 1));
    expect((await pool.getCheckpoint(PROJECT, run, "best"))?.checkpoint.id).toBe(`${run}@3.1`);
  });
});
