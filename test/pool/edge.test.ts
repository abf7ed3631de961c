// Evaluations of exports: the pool's own worker comes, has the scorer answer, and goes.
import { beforeEach, describe, expect, test } from "vitest";
import type { ScorerApi } from "../../src/scorer/api.ts";
import { edgeModel } from "../routes/edge-model.ts";
import { FakeWorker } from "./fake-worker.ts";
import { evaluationSubmit, PROJECT, sha } from "./fixtures.ts";
import { freshPool, sql } from "./harness.ts";
import type { Stub } from "./harness.ts";
import { outbox, scorer } from "./worker.ts";

const yes: ScorerApi["generate"] = ({ prompts }) =>
  Promise.resolve({
    ok: true,
    value: prompts.map((prompt) => ({
      response: `yes to ${JSON.stringify(prompt)}`,
      finish_reason: "stop",
      num_tokens: 2,
    })),
  });

/** An evaluation of an export whose model has so many parameters. */
function edgeSubmit(sizes: number[], parameters = 1000) {
  const submit = evaluationSubmit(sizes);
  if (submit.payload.kind !== "generate") throw new Error("an evaluation generates");
  const file = {
    name: "student.onnx",
    bytes: 1,
    sha256: sha("graph"),
    parts: [{ key: `a/b/0/${sha("graph")}`, bytes: 1, sha256: sha("graph") }],
  };
  const artifact = { model: edgeModel("int8", { parameters }), files: [file] };
  return { ...submit, payload: { ...submit.payload, artifact } };
}

const ended = (pool: Stub, id: string) => expect.poll(async () => (await pool.getEvaluation(PROJECT, id))?.status);
const itemsOf = (evaluation: string) =>
  outbox.applied.flatMap((entry) => (entry.kind === "items" && entry.evaluation === evaluation ? entry.items : []));

beforeEach(() => {
  scorer.asked.length = 0;
  scorer.generate = yes;
});

describe("an evaluation of an export", () => {
  test("is answered with no worker connected: every item once, in batches", async () => {
    const pool = freshPool();
    const submit = edgeSubmit([2, 1, 1, 1, 1]);
    await pool.submitEvaluation(submit);
    await ended(pool, submit.id).toBe("completed");
    const asked = submit.batches.flatMap(({ items }) => items.map(({ item }) => item));
    await expect.poll(() => itemsOf(submit.id).map(({ item }) => item)).toEqual(asked);
    expect(scorer.asked).toHaveLength(5);
    expect(scorer.asked[0]).toMatchObject({ template: "chat", artifact: submit.payload.artifact });
    expect(await pool.getJob(PROJECT, submit.job)).toMatchObject({ kind: "generate_edge", status: "completed" });
    expect(await sql(pool, "SELECT meter, total FROM usage")).toEqual([{ meter: "tokens_generated", total: 12 }]);
  });

  test("is not leased to a GPU worker, nor are others to the edge", async () => {
    const pool = freshPool();
    const worker = await FakeWorker.connect(pool);
    const other = evaluationSubmit([1]);
    await pool.submitEvaluation(other);
    expect((await worker.lease()).payload).toMatchObject({ evaluation: other.id });
    const submit = edgeSubmit([1]);
    await pool.submitEvaluation(submit);
    await ended(pool, submit.id).toBe("completed");
    expect((await pool.workers(PROJECT)).map(({ name, device }) => [name, device])).toContainEqual(["edge", "edge"]);
  });

  test("of a large model is asked for in several calls of one batch", async () => {
    const pool = freshPool();
    const submit = edgeSubmit([4], 1_000_000_000);
    await pool.submitEvaluation(submit);
    await ended(pool, submit.id).toBe("completed");
    expect(scorer.asked.length).toBeGreaterThan(1);
    expect(scorer.asked.flatMap(({ prompts }) => prompts)).toHaveLength(4);
  });

  test("that does not fit fails with the scorer's words", async () => {
    scorer.generate = () => Promise.resolve({ ok: false, code: "too_large", message: "needs 200 MB of 128" });
    const pool = freshPool();
    const submit = edgeSubmit([1]);
    await pool.submitEvaluation(submit);
    await ended(pool, submit.id).toBe("failed");
    expect((await pool.getJob(PROJECT, submit.job))?.error).toMatchObject({
      code: "too_large",
      message: "needs 200 MB of 128",
    });
  });

  test("goes on where the scorer died, and generates nothing twice into the record", async () => {
    let calls = 0;
    scorer.generate = (ask) => (++calls === 2 ? Promise.reject(new Error("out of memory")) : yes(ask));
    const pool = freshPool();
    const submit = edgeSubmit([1, 1]);
    await pool.submitEvaluation(submit);
    await ended(pool, submit.id).toBe("completed");
    await expect.poll(() => itemsOf(submit.id)).toHaveLength(2);
    expect(calls).toBe(3);
  });

  test("that is cancelled ends, and the calls to come are not made", async () => {
    // Watched, not resolved from here: code of one Durable Object must not be resumed by another's.
    let released = false;
    scorer.generate = async (ask) => {
      while (!released) await scheduler.wait(10);
      return yes(ask);
    };
    const pool = freshPool();
    const submit = edgeSubmit([1, 1, 1]);
    await pool.submitEvaluation(submit);
    await expect.poll(() => scorer.asked.length).toBe(1);
    await pool.cancelEvaluation(PROJECT, submit.id);
    released = true;
    await ended(pool, submit.id).toBe("cancelled");
    await scheduler.wait(100);
    expect(scorer.asked).toHaveLength(1);
  });
});

test("the edge leaves when it has nothing to do, and comes again", async () => {
  const pool = freshPool();
  const first = edgeSubmit([1]);
  await pool.submitEvaluation(first);
  await ended(pool, first.id).toBe("completed");
  const connected = async () => (await pool.workers(PROJECT)).length;
  await expect.poll(connected, { interval: 200 }).toBe(0);
  const second = edgeSubmit([1]);
  await pool.submitEvaluation(second);
  await ended(pool, second.id).toBe("completed");
});
