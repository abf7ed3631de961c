// Streamed completions: what they grow by, who reads it, and what happens when nobody does.
import { afterEach, beforeEach, expect, test } from "vitest";
import { READER_MS } from "../../src/config.ts";
import type { CompletePayload } from "../../src/wire/payloads.ts";
import type { Lease } from "../../src/wire/pool.ts";
import { FakeWorker } from "./fake-worker.ts";
import { PROJECT, model, scoreJob } from "./fixtures.ts";
import { clock, freshPool, later, sql } from "./harness.ts";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

const payload: CompletePayload = {
  kind: "complete",
  model: model(),
  items: [{ prompt: "The sky is", seeds: [1] }],
  settings: { max_new_tokens: 8, temperature: 0, top_p: 1, top_k: 0, stop: [] },
  echo: false,
  logprobs: null,
  stream: true,
};

async function begun() {
  const pool = freshPool();
  const worker = await FakeWorker.connect(pool);
  const job = scoreJob({ payload });
  await pool.submitJob(job);
  return { pool, worker, id: job.id, lease: await worker.lease() };
}

const delta = ({ job, fence }: Lease, place: number, text: string) => ({
  type: "delta" as const,
  job,
  fence,
  place,
  pieces: [{ item: 0, sample: 0, text, logprobs: null }],
});

const output = {
  kind: "complete" as const,
  prompts: [{ num_tokens: 3, text: null, logprobs: null }],
  choices: [{ item: 0, sample: 0, text: "blue", finish_reason: "stop" as const, num_tokens: 2, logprobs: null }],
  tokens: 5,
};

test("deltas are read in order, from where the reader is, and go with the job's end", async () => {
  const { pool, worker, id, lease } = await begun();
  for (const [place, text] of ["b", "l", "ue"].entries()) await worker.ask(delta(lease, place, text));
  expect((await worker.ask(delta(lease, 2, "ue"))).status).toBe("duplicate");
  const texts = async (after: number) => (await pool.deltas(PROJECT, id, after, 0))!.pieces.map(({ text }) => text);
  expect(await texts(-1)).toEqual(["b", "l", "ue"]);
  expect(await texts(0)).toEqual(["l", "ue"]);
  expect((await pool.deltas(PROJECT, id, 0, 0))!.last).toBe(2);
  expect(await pool.deltas("proj_b", id, -1, 0)).toBeNull();
  const { job, fence } = lease;
  await worker.ask({ type: "result", job, fence, lineage: null, output, artifact: null });
  expect(await pool.deltas(PROJECT, id, -1, 0)).toMatchObject({ pieces: [], job: { status: "completed" } });
  expect(await sql(pool, "SELECT 1 FROM deltas")).toEqual([]);
  expect(await sql(pool, "SELECT 1 FROM due WHERE kind = 'reader'")).toEqual([]);
});

test("a reader that waits is told of the next delta", async () => {
  const { pool, worker, id, lease } = await begun();
  const waiting = pool.deltas(PROJECT, id, -1, 5000);
  await worker.ask(delta(lease, 0, "b"));
  expect((await waiting)!.pieces).toMatchObject([{ text: "b" }]);
});

test("a delta that leaves a gap, or a stale one, changes nothing", async () => {
  const { pool, worker, id, lease } = await begun();
  expect((await worker.ask({ ...delta(lease, 0, "b"), fence: lease.fence + 1 })).status).toBe("stale_fence");
  expect((await pool.deltas(PROJECT, id, -1, 0))!.pieces).toEqual([]);
  worker.post(delta(lease, 1, "l"));
  await worker.until(() => worker.closed !== null);
  expect(worker.closed).toMatchObject({ code: 1008 });
});

test("what nobody reads any more is stopped; what is still read goes on", async () => {
  const { pool, id } = await begun();
  // Its worker says nothing either, so that the job goes back to the queue; that is not what ends it.
  const status = async () => (await pool.getJob(PROJECT, id))!.status;
  await pool.deltas(PROJECT, id, -1, 0);
  await later(pool, READER_MS - 1000);
  expect((await pool.deltas(PROJECT, id, -1, 0))!.job.status).not.toBe("cancelled");
  await later(pool, READER_MS - 1000);
  expect(await status()).not.toBe("cancelled");
  await later(pool, 1000);
  expect(await status()).toBe("cancelled");
});
