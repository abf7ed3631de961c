// The outbox on its way to D1: order, parking, hanging; purely, and through the Durable Object's alarm.
import { runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { OUTBOX_RETRY_MS } from "../../src/config.ts";
import { drain, outboxWaitMs } from "../../src/pool/drain.ts";
import type { OutboxItem, OutboxStore } from "../../src/pool/drain.ts";
import type { OutboxEntry } from "../../src/store/outbox.ts";
import { clock, freshPool, later, sql } from "./harness.ts";
import { outbox } from "./worker.ts";
import { runSubmit, PROJECT, scoreJob, steps } from "./fixtures.ts";
import { FakeWorker } from "./fake-worker.ts";
import { Trainer } from "./trainer.ts";

beforeEach(() => {
  clock.start();
  outbox.applied = [];
  outbox.settle = null;
});
afterEach(() => clock.stop());

const usage = (total: number): OutboxEntry => {
  return { kind: "usage", project: PROJECT, rev: total, day: "2026-01-01", meter: "tokens_scored", total };
};

class Memory implements OutboxStore {
  readonly items: OutboxItem[];
  readonly parked: { seq: number; waitMs: number; error: string }[] = [];
  readonly gone: number[] = [];

  constructor(topics: string[]) {
    this.items = topics.map((topic, seq) => ({ seq, topic, entry: usage(seq), attempts: 0 }));
  }
  ready = (): OutboxItem[] => this.items;
  done = (item: OutboxItem): void => void this.gone.push(item.seq);
  park = (item: OutboxItem, waitMs: number, error: string): void => {
    this.parked.push({ seq: item.seq, waitMs, error });
  };
}

const seqOf = (entry: OutboxEntry): number => (entry.kind === "usage" ? entry.total : -1);

describe("draining", () => {
  test("an entry that fails holds back its own topic only, in order", async () => {
    const store = new Memory(["a", "b", "a", "c", "b"]);
    const tried: number[] = [];
    await drain(store, async (entry) => {
      tried.push(seqOf(entry));
      if (seqOf(entry) === 0) throw new Error("x".repeat(2000));
    });
    expect(tried).toEqual([0, 1, 3, 4]);
    expect(store.gone).toEqual([1, 3, 4]);
    expect(store.parked).toHaveLength(1);
    expect(store.parked[0]).toMatchObject({ seq: 0, waitMs: OUTBOX_RETRY_MS.first });
    expect(store.parked[0]?.error).toHaveLength(500);
  });

  test("one that throws before it returns is parked too", async () => {
    const store = new Memory(["a", "b"]);
    await drain(store, (entry) => {
      if (seqOf(entry) === 0) throw new TypeError("at once");
      return Promise.resolve();
    });
    expect(store.parked[0]?.error).toBe("TypeError: at once");
    expect(store.gone).toEqual([1]);
  });

  test("one that hangs is parked and ends the batch; its late answer is ignored", async () => {
    const store = new Memory(["a", "b"]);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    await drain(store, () => promise, 10);
    expect(store.parked.map((entry) => entry.seq)).toEqual([0]);
    resolve(undefined);
    await promise;
    expect(store.gone).toEqual([]);
  });

  test("the wait doubles up to a minute", () => {
    expect([0, 1, 2, 5, 6, 7, 50].map(outboxWaitMs)).toEqual([1, 2, 4, 32, 60, 60, 60].map((s) => s * 1000));
  });
});

describe("the pool's outbox", () => {
  test("a poisoned entry is parked with its error, later ones of its topic wait, others pass", async () => {
    const pool = freshPool();
    const [good, bad] = [scoreJob(), scoreJob()];
    outbox.settle = async (entry) => {
      if (entry.kind === "job" && entry.job.id === bad.id) throw new Error("D1 does not like it");
    };
    await pool.submitJob(bad);
    await pool.submitJob(good);
    await runDurableObjectAlarm(pool);
    const told = () =>
      outbox.applied.flatMap((entry) =>
        entry.kind === "job" && [good.id, bad.id].includes(entry.job.id) ? [entry.job] : [],
      );
    expect(told()).toMatchObject([{ id: good.id, status: "queued" }]);
    const parked = await sql(pool, "SELECT topic, attempts, error FROM outbox");
    expect(parked).toEqual([{ topic: bad.id, attempts: 1, error: "Error: D1 does not like it" }]);
    // The newer entry takes the older one's place and its wait.
    await pool.cancelJob(PROJECT, bad.id);
    outbox.settle = null;
    await runDurableObjectAlarm(pool);
    expect(told()).toHaveLength(1);
    await later(pool, OUTBOX_RETRY_MS.first + 1);
    expect(told()[1]).toMatchObject({ id: bad.id, status: "cancelled" });
    expect(await sql(pool, "SELECT * FROM outbox")).toEqual([]);
    expect(await sql(pool, "SELECT * FROM due WHERE kind = 'outbox'")).toEqual([]);
  });

  test("what is told of a run comes in order, with growing revisions, and ends equal to the pool", async () => {
    const pool = freshPool();
    const submit = runSubmit({ total: 2 });
    await pool.submitRun(submit);
    await pool.takeSteps(steps(submit.id, { to: 2 }));
    const worker = await FakeWorker.connect(pool);
    await new Trainer(worker, await worker.lease()).honest();
    await runDurableObjectAlarm(pool);
    await new Trainer(worker, await worker.lease()).honest();
    await runDurableObjectAlarm(pool);
    // Pools of other tests may be telling something still.
    const mine = outbox.applied.filter((entry) => "rev" in entry && JSON.stringify(entry).includes(submit.id));
    const revs = mine.map((entry) => ("rev" in entry ? entry.rev : 0));
    expect(revs).toEqual([...revs].sort((a, b) => a - b));
    const told = mine.flatMap((entry) => (entry.kind === "step" ? [entry.step.step] : []));
    expect(told).toEqual([1, 2]);
    const runs = mine.flatMap((entry) => (entry.kind === "run" ? [entry.run] : []));
    expect(runs.at(-1)).toEqual(await pool.getRun(PROJECT, submit.id));
    expect(runs.at(-1)?.status).toBe("completed");
    const meters = outbox.applied.flatMap((entry) => (entry.kind === "usage" ? [entry.total] : []));
    expect(meters.at(-1)).toBe(10);
    await pool.deleteRun(PROJECT, submit.id);
    await runDurableObjectAlarm(pool);
    expect(outbox.applied.at(-1)).toEqual({ kind: "deleted", project: PROJECT, resource: "run", id: submit.id });
  });
});
