// What goes wrong with one job stays with that job.
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeWorker } from "./fake-worker.ts";
import { evaluationSubmit, PROJECT, result, runSubmit, scoreJob, steps } from "./fixtures.ts";
import { clock, freshPool, later, sql } from "./harness.ts";
import type { Stub } from "./harness.ts";
import { begin, lastLease } from "./trainer.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

type Broken = [name: string, prepare: (pool: Stub) => Promise<{ job: string; run?: string; evaluation?: string }>];

const broken: Broken[] = [
  [
    "a job without its body",
    async (pool) => {
      const { id } = scoreJob();
      await pool.submitJob(scoreJob({ id }));
      await sql(pool, "DELETE FROM bodies WHERE job = ?", id);
      return { job: id };
    },
  ],
  [
    "a run whose journal of states is not of this version",
    async (pool) => {
      const submit = runSubmit();
      await pool.submitRun(submit);
      const ask = steps(submit.id, { to: 2 });
      await pool.takeSteps(ask);
      const row = [submit.id, '{"step":0}'];
      await sql(pool, "INSERT INTO states VALUES (?, 'resume', 0, 0, 0, 0, ?)", ...row);
      return { job: ask.job, run: submit.id };
    },
  ],
  [
    "a run whose samples are not of this version: only the payload fails",
    async (pool) => {
      const submit = runSubmit();
      await pool.submitRun(submit);
      const ask = steps(submit.id, { to: 2 });
      await pool.takeSteps(ask);
      await sql(pool, "INSERT INTO samples VALUES (?, 0, 'teacher', 1, '{}', 0)", submit.id);
      return { job: ask.job, run: submit.id };
    },
  ],
  [
    "an evaluation that is gone",
    async (pool) => {
      const submit = evaluationSubmit([1]);
      await pool.submitEvaluation(submit);
      await sql(pool, "DELETE FROM evaluations WHERE id = ?", submit.id);
      return { job: submit.job };
    },
  ],
];

describe("a job whose lease cannot be built", () => {
  test.each(broken)("%s: it fails, hello succeeds, the next job is leased", async (_name, prepare) => {
    const pool = freshPool();
    const { job, run } = await prepare(pool);
    const next = scoreJob();
    await pool.submitJob(next);
    const worker = await FakeWorker.connect(pool);
    const lease = await worker.lease();
    expect(lease.job).toBe(next.id);
    expect(worker.offered).toBe(0);
    const [row] = await sql<{ status: string; error: string }>(pool, "SELECT * FROM jobs WHERE id = ?", job);
    expect(row?.status).toBe("failed");
    expect(JSON.parse(row!.error)).toMatchObject({ code: "internal", retryable: true });
    // Nothing of the attempt is left: neither lease nor holder.
    expect(await sql(pool, "SELECT job FROM leases")).toEqual([{ job: next.id }]);
    expect(await sql(pool, "SELECT owner FROM fences WHERE holder IS NOT NULL")).toEqual([{ owner: next.id }]);
    if (run !== undefined) expect(await pool.getRun(PROJECT, run)).toMatchObject({ status: "failed" });
    expect((await worker.ask(result(lease))).status).toBe("ok");
  });

  test("a run that cannot even be read: its job fails all the same", async () => {
    const pool = freshPool();
    const submit = runSubmit();
    await pool.submitRun(submit);
    const ask = steps(submit.id, { to: 2 });
    await pool.takeSteps(ask);
    await sql(pool, "UPDATE runs SET spec = '{}' WHERE id = ?", submit.id);
    const next = scoreJob();
    await pool.submitJob(next);
    const worker = await FakeWorker.connect(pool);
    expect((await worker.lease()).job).toBe(next.id);
    expect(await sql(pool, "SELECT status FROM jobs WHERE id = ?", ask.job)).toEqual([{ status: "failed" }]);
  });

  test("a lease of such a run that ends by the clock stops no other turn", async () => {
    const { pool, run, job, worker } = await begin();
    await sql(pool, "UPDATE runs SET spec = '{}' WHERE id = ?", run);
    await later(pool, 30_001);
    expect(await sql(pool, "SELECT status FROM jobs WHERE id = ?", job)).toEqual([{ status: "failed" }]);
    const next = scoreJob();
    await pool.submitJob(next);
    await worker.ask({ type: "progress", jobs: [] });
    expect((await worker.next((frame) => frame.type === "lease" && frame.job === next.id)).type).toBe("lease");
  });
});

describe("a turn's attempt", () => {
  test("is undone whole: the tables, the frames, the sockets to close", async () => {
    const { Overview } = await import("../../src/pool/overview.ts");
    const { Turn } = await import("../../src/pool/turn.ts");
    const { openTables } = await import("../../src/pool/tables/index.ts");
    await runInDurableObject(freshPool(), (_instance, state) => {
      const transaction = <T>(work: () => T): T => state.storage.transactionSync(work);
      const tables = openTables(state.storage);
      const surroundings = { overview: new Overview(), since: -Infinity, fingerprintWaitMs: 1, isOpen: () => true };
      const turn = new Turn({ now: 1, tables, transaction, ...surroundings });
      const cancel = (job: string) => ({ type: "cancel" as const, job, fence: 1 });
      transaction(() => {
        turn.tables.counters.next("kept");
        turn.send("w", cancel("kept"));
        const outcome = turn.attempt(() => {
          turn.tables.counters.next("undone");
          turn.send("w", cancel("undone"));
          turn.close("s", 1000, "undone");
          throw new Error("halfway");
        });
        expect(outcome).toEqual({ error: new Error("halfway") });
        expect(turn.attempt(() => turn.tables.counters.next("after"))).toEqual({ value: 1 });
      });
      expect(turn.tables.counters.all("name <> 'store_version' ORDER BY name").map((row) => row.name)).toEqual([
        "after",
        "kept",
      ]);
      expect(turn.sends).toEqual([{ boot: "w", frame: cancel("kept") }]);
      expect(turn.closes).toEqual([]);
    });
  });
});

test("a loss that is not finite stops the run at that step: the rows are named, the last checkpoint is kept", async () => {
  const { pool, run, job, worker, trainer } = await begin({ every: 1 });
  await trainer.honest();
  const next = await lastLease(worker);
  const { fence, lineage } = next.lease;
  const detail = "the loss of step 2 is not finite; rows of its micro-batch: row-7, row-3";
  const why = { code: "nonfinite_loss", detail, retryable: false };
  expect((await worker.ask({ type: "fail", job, fence, lineage, ...why })).status).toBe("ok");
  const error = { code: "nonfinite_loss", message: detail, retryable: false };
  expect(await pool.getRun(PROJECT, run)).toMatchObject({ status: "failed", head: 1, error });
  expect(await pool.getJob(PROJECT, job)).toMatchObject({ status: "failed", error });
  const stored = await pool.getCheckpoint(PROJECT, run, "1");
  expect(stored?.checkpoint).toMatchObject({ id: `${run}@1`, step: 1 });
  const parts = stored?.state.files.flatMap((file) => file.parts.map((part) => part.key)) ?? [];
  expect(parts).toHaveLength(1);
  await later(pool, 60_000);
  expect(await pool.namedBlobs(parts)).toEqual(parts);
  const { env } = await import("cloudflare:workers");
  expect(await env.BLOBS.head(parts[0]!)).not.toBeNull();
  const page = await pool.events(PROJECT, run, 0, 0);
  expect(page?.events.at(-1)).toMatchObject({ type: "status", data: { status: "failed", head: 1, error } });
  expect(page?.ended).toBe(true);
  expect((await next.step(2)).status).toBe("stale_fence");
  worker.close();
});
