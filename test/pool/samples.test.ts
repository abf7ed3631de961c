// Drawn responses: journaled before the step that reads them, named in each lease, and what a new lineage keeps.
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FINGERPRINT_WAIT_MS, MAX_INLINE_BYTES } from "../../src/config.ts";
import { Payload } from "../../src/wire/payloads.ts";
import { forgiveTurns } from "./setup.ts";
import { FakeWorker } from "./fake-worker.ts";
import { draw, PROJECT, sha } from "./fixtures.ts";
import { clock, later, settled, sql } from "./harness.ts";
import { begin, lastLease } from "./trainer.ts";
import type { Trainer } from "./trainer.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

const journaled = (pool: Parameters<typeof sql>[0]) =>
  sql(pool, "SELECT lineage, source, n, superseded FROM samples ORDER BY lineage, source, n");
const named = ({ payload }: Trainer): string[] => payload.samples.map(({ source, n }) => `${source} ${n}`);

describe("the samples frame", () => {
  test("is ok once, then a duplicate; others for the same block are a gap, and the journaled ones stay", async () => {
    const { run, trainer } = await begin();
    const samples = await draw(trainer.lease, run, 1);
    expect(await trainer.journal(samples)).toMatchObject({ status: "ok", head: null });
    expect(await trainer.journal(samples)).toMatchObject({ status: "duplicate", head: null });
    expect(await trainer.samples(1, { label: "other" })).toMatchObject({ status: "gap", head: 0 });
    expect((await trainer.samples(1, { source: "teacher" })).status).toBe("ok");
    expect((await trainer.samples(1, { source: "teacher", label: "other" })).status).toBe("gap");
    await trainer.step(1);
    await trainer.result(1);
    const next = await lastLease(trainer.worker);
    expect(next.payload.samples).toEqual([expect.objectContaining({ source: "teacher", n: 1 }), samples]);
  });

  test.each([{ fence: 9 }, { lineage: 1 }])("with %o is stale, whatever it names", async (changes) => {
    const { pool, run, trainer } = await begin();
    const samples = await draw(trainer.lease, run, 1);
    await trainer.journal(samples);
    expect((await trainer.journal(samples, changes)).status).toBe("stale_fence");
    const blob = { key: `proj_b/run_b/1/${sha("b")}`, bytes: 4, sha256: sha("b") };
    expect((await trainer.journal({ source: "student", n: 1, blob }, changes)).status).toBe("stale_fence");
    expect(await journaled(pool)).toEqual([{ lineage: 0, source: "student", n: 1, superseded: 0 }]);
  });

  test("needs a live lease: after the span it is stale", async () => {
    const { pool, trainer } = await begin({ to: 1 });
    await trainer.honest();
    expect((await trainer.samples(2)).status).toBe("stale_fence");
    expect(await journaled(pool)).toEqual([]);
  });

  test("of a student comes before the journal passes its block, of a teacher at any time", async () => {
    const { trainer } = await begin();
    const first = await draw(trainer.lease, trainer.payload.run, 1);
    await trainer.journal(first);
    await trainer.step(1);
    expect((await trainer.journal(first)).status).toBe("duplicate");
    await trainer.result(1);
    const next = await lastLease(trainer.worker);
    await next.step(2);
    expect(await next.samples(2)).toMatchObject({ status: "gap", head: 2 });
    expect((await next.samples(2, { source: "teacher" })).status).toBe("ok");
    expect((await next.samples(3)).status).toBe("ok");
  });

  test.each([
    ["was never stored", (key: string) => env.BLOBS.delete(key), "" as const],
    ["has another size", (key: string) => env.BLOBS.put(key, "longer data"), "" as const],
    ["lies under another fence", () => Promise.resolve(), "fence" as const],
  ])("names a blob that %s: nothing is journaled", async (_name, damage, where) => {
    const { pool, run, worker, trainer } = await begin();
    const lease = where === "fence" ? { ...trainer.lease, fence: 7 } : trainer.lease;
    const samples = await draw(lease, run, 1);
    await damage(samples.blob.key);
    worker.post({ type: "samples", ...trainer.id, samples });
    await worker.until(() => worker.closed !== null);
    expect(worker.closed).toMatchObject({ code: 1008 });
    expect(await journaled(pool)).toEqual([]);
    expect(await pool.namedBlobs([samples.blob.key])).toEqual([]);
  });

  test("its blob is named until the run is deleted", async () => {
    const { pool, run, trainer } = await begin();
    const { blob } = await draw(trainer.lease, run, 1);
    expect(await pool.namedBlobs([blob.key])).toEqual([]);
    await trainer.journal({ source: "student", n: 1, blob });
    expect(await pool.namedBlobs([blob.key, `${blob.key}x`])).toEqual([blob.key]);
    await pool.cancelRun(PROJECT, run);
    expect(await pool.namedBlobs([blob.key])).toEqual([blob.key]);
    await pool.deleteRun(PROJECT, run);
    expect(await pool.namedBlobs([blob.key])).toEqual([]);
    expect(await journaled(pool)).toEqual([]);
    await later(pool, 2000);
    expect(await env.BLOBS.head(blob.key)).toBeNull();
  });
});

/** Steps to 5 with student blocks from 1, 3 and 5, teacher blocks from 1 and 4, and a resume state at `resume`. */
async function journey(resume: number | null) {
  const begun = await begin({ total: 20 });
  let { trainer } = begun;
  while (trainer.payload.from <= 5) {
    for (let n = trainer.payload.from; n <= trainer.payload.to; n += 1) {
      if ([1, 3, 5].includes(n)) await trainer.samples(n);
      if ([1, 4].includes(n)) await trainer.samples(n, { source: "teacher" });
      await trainer.step(n);
      if (n === resume) await trainer.resume(n);
    }
    await trainer.result(trainer.payload.to);
    trainer = await lastLease(begun.worker);
  }
  return { ...begun, trainer };
}

describe("a lease names", () => {
  test.each([
    [null, ["student 1", "student 3", "student 5"]],
    [1, ["student 1", "student 3", "student 5"]],
    [2, ["student 3", "student 5"]],
    [3, ["student 3", "student 5"]],
    [4, ["student 5"]],
    [5, ["student 5"]],
  ])("after a resume state at %s all of the teacher's and what the student's next steps read", async (resume, own) => {
    const { trainer } = await journey(resume);
    expect(trainer.payload.resume?.step ?? null).toBe(resume);
    expect(named(trainer)).toEqual(["teacher 1", "teacher 4", ...own]);
  });

  test("in a new lineage what the student drew up to where it begins, and what the teacher ever said", async () => {
    const { pool, run, worker } = await journey(3);
    await worker.vanish(pool);
    await later(pool, 5001);
    const other = await FakeWorker.connect(pool, { fingerprint: "f2" });
    await later(pool, FINGERPRINT_WAIT_MS + 1);
    const taken = await lastLease(other);
    expect(taken.lease.lineage).toBe(1);
    expect(named(taken)).toEqual(["teacher 1", "teacher 4", "student 3"]);
    // The block from 5 is drawn again, by the new lineage's student; the teacher's stay as they are.
    const again = await draw(taken.lease, run, 5, { label: " again" });
    expect((await taken.journal(again, { lineage: 0 })).status).toBe("stale_fence");
    expect((await taken.journal(again)).status).toBe("ok");
    expect((await taken.samples(4, { source: "teacher", label: " again" })).status).toBe("gap");
    expect(await journaled(pool)).toEqual([
      { lineage: 0, source: "student", n: 1, superseded: 0 },
      { lineage: 0, source: "student", n: 3, superseded: 0 },
      { lineage: 0, source: "student", n: 5, superseded: 1 },
      { lineage: 0, source: "teacher", n: 1, superseded: 0 },
      { lineage: 0, source: "teacher", n: 4, superseded: 0 },
      { lineage: 1, source: "student", n: 5, superseded: 0 },
    ]);
    await taken.step(4);
    await taken.result(4);
    expect((await lastLease(other)).payload.samples.at(-1)).toEqual(again);
  });
});

describe("a lease over the inline limit", () => {
  // It names all samples of its run that are to come, and is made in one turn.
  afterEach(forgiveTurns);

  /** Many teacher blocks, as a run over a large data set has them. */
  async function crowd(pool: Parameters<typeof sql>[0], blocks: number): Promise<void> {
    await sql(
      pool,
      `WITH RECURSIVE count(value) AS (SELECT 2 UNION ALL SELECT value + 1 FROM count WHERE value < ?)
       INSERT INTO samples SELECT run, lineage, source, value, blob, superseded FROM samples, count`,
      blocks,
    );
  }

  test("travels as a blob of its payload's JSON, under the lease's own prefix", async () => {
    const { pool, run, trainer } = await begin();
    await trainer.samples(1, { source: "teacher" });
    await crowd(pool, 5000);
    await trainer.step(1);
    await trainer.result(1);
    await settled(pool);
    const lease = await trainer.worker.lease();
    expect(lease).toMatchObject({ payload: null, fence: 1, lineage: 0 });
    expect(lease.artifact!.key).toBe(`${PROJECT}/${run}/1/${lease.artifact!.sha256}`);
    const bytes = await (await env.BLOBS.get(lease.artifact!.key))!.arrayBuffer();
    expect(bytes.byteLength).toBe(lease.artifact!.bytes);
    expect(bytes.byteLength).toBeGreaterThan(1024 * 1024);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    expect(Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("")).toBe(lease.artifact!.sha256);
    const payload = Payload.parse(JSON.parse(new TextDecoder().decode(bytes)));
    if (payload.kind !== "train") throw new Error("not a train payload");
    expect(payload).toMatchObject({ run, from: 2 });
    expect(payload.samples.map(({ n }) => n)).toEqual(Array.from({ length: 5000 }, (_, index) => index + 1));
  });

  test("stays in the frame up to the limit", async () => {
    const { pool, trainer } = await begin();
    await trainer.samples(1, { source: "teacher" });
    await crowd(pool, 300);
    await trainer.step(1);
    await trainer.result(1);
    await settled(pool);
    const lease = await trainer.worker.lease();
    const size = JSON.stringify(lease.payload).length;
    expect(size).toBeGreaterThan(MAX_INLINE_BYTES / 3);
    expect(size).toBeLessThanOrEqual(MAX_INLINE_BYTES);
    expect(lease.artifact).toBeNull();
  });

  const put = env.BLOBS.put.bind(env.BLOBS);
  afterEach(() => {
    env.BLOBS.put = put;
  });

  /** R2 stores nothing until it is opened. Told by plain values: a promise would carry the test into the object's context. */
  function slowStore() {
    const store = { open: false, stored: 0 };
    env.BLOBS.put = (async (...args: Parameters<typeof put>) => {
      while (!store.open) await scheduler.wait(1);
      const object = await put(...args);
      store.stored += 1;
      return object;
    }) as typeof put;
    return store;
  }

  async function crowded() {
    const begun = await begin();
    await begun.trainer.samples(1, { source: "teacher" });
    await crowd(begun.pool, 5000);
    await begun.trainer.step(1);
    return begun;
  }

  /** Leases that reached the worker, once everything under way has come through. */
  async function offered(worker: FakeWorker): Promise<number> {
    for (let times = 0; times < 5; times += 1) await worker.ask({ type: "progress", jobs: [] });
    return worker.offered;
  }

  test("that ended while its payload was stored never reaches the worker", async () => {
    const { pool, job, worker, trainer } = await crowded();
    const store = slowStore();
    await trainer.result(1);
    await settled(pool);
    await pool.cancelJob(PROJECT, job);
    store.open = true;
    await worker.until(() => store.stored === 1);
    expect(await offered(worker)).toBe(0);
  });

  test("that was given anew meanwhile reaches the worker once, under the newer fence", async () => {
    const { pool, worker, trainer } = await crowded();
    const store = slowStore();
    await trainer.result(1);
    await settled(pool);
    const back = await FakeWorker.connect(pool, { boot: worker.boot });
    store.open = true;
    await back.until(() => store.stored === 2);
    expect((await back.lease()).fence).toBe(2);
    expect(await offered(back)).toBe(0);
  });

  test("whose payload cannot be stored is given back, without blame for its worker", async () => {
    const { pool, job, worker, trainer } = await crowded();
    env.BLOBS.put = () => Promise.reject(new Error("R2 is away"));
    await trainer.result(1);
    await settled(pool);
    expect(await offered(worker)).toBe(0);
    expect(await sql(pool, "SELECT status, last_error, deaths FROM jobs WHERE id = ?", job)).toEqual([
      { status: "queued", last_error: expect.stringMatching(/^its payload could not be stored/), deaths: 0 },
    ]);
    env.BLOBS.put = put;
    await later(pool, 60_000);
    expect((await worker.lease()).artifact).not.toBeNull();
  });
});
