// A worker's output is held against what was asked: whatever is wrong with it costs that worker's lease, and nothing more.
import { describe, expect, test } from "vitest";
import { problemOf } from "../../src/pool/answers.ts";
import type { Output, Payload } from "../../src/wire/payloads.ts";
import { FakeWorker } from "./fake-worker.ts";
import { PROJECT, model, result, scoreJob, scoreOutput, scorePayload } from "./fixtures.ts";
import { freshPool, sql } from "./harness.ts";

const [[scored]] = scoreOutput.items as [[(typeof scoreOutput.items)[0][0]]];

const SCORES: [what: string, items: (typeof scored)[][]][] = [
  ["no items", []],
  ["one item too many", [[scored], [scored]]],
  ["a response too few", [[]]],
  ["a response too many", [[scored, scored]]],
  ["a token without its text", [[{ ...scored, token_texts: scored.token_texts.slice(1) }]]],
  ["a log-probability too few", [[{ ...scored, teacher_logprobs: scored.teacher_logprobs.slice(1) }]]],
  ["a log-probability above 0", [[{ ...scored, student_logprobs: scored.student_logprobs.map(() => 0.1) }]]],
];

describe("a score", () => {
  test.each(SCORES)("with %s is refused, and asked for again", async (_what, items) => {
    const pool = freshPool();
    const job = scoreJob();
    await pool.submitJob(job);
    const worker = await FakeWorker.connect(pool);
    const ack = await worker.ask(result(await worker.lease(), { ...scoreOutput, items }));
    expect(ack.status).toBe("stale_fence");
    const [row] = await sql<object>(pool, "SELECT status, failures, last_error FROM jobs WHERE id = ?", job.id);
    expect(row).toMatchObject({ status: "queued", failures: 1 });
    expect(row).toMatchObject({ last_error: expect.stringContaining("does not answer it") });
    // Another worker's answer is taken.
    await sql(pool, "UPDATE jobs SET failures = 0 WHERE id = ?", job.id);
    expect((await pool.getJob(PROJECT, job.id))?.status).toBe("queued");
    worker.close();
  });

  test("that says other tokens than are there is refused", () => {
    expect(problemOf(scorePayload(), { ...scoreOutput, tokens: 1_000_000 })).toContain("tokens");
    expect(problemOf(scorePayload(), scoreOutput)).toBeNull();
    expect(problemOf(null, scoreOutput)).toBeNull();
  });
});

describe("a completion", () => {
  const settings = { max_new_tokens: 2, temperature: 0, top_p: 1, stop: [] };
  const payload = {
    kind: "complete",
    model: model(),
    items: [{ prompt: "p", seeds: [0, 1] }],
    settings,
    echo: false,
    logprobs: null,
    stream: false,
  } as unknown as Payload;
  const choice = (sample: number, tokens = 1) => {
    return { item: 0, sample, text: "a", finish_reason: "stop" as const, num_tokens: tokens, logprobs: null };
  };
  const output = (...choices: ReturnType<typeof choice>[]): Output => {
    return { kind: "complete", prompts: [{ num_tokens: 1, text: null, logprobs: null }], choices, tokens: 3 };
  };

  test("has the choices that were asked for, none of them too long", () => {
    expect(problemOf(payload, output(choice(0), choice(1)))).toBeNull();
    expect(problemOf(payload, output(choice(0)))).toContain("choices");
    expect(problemOf(payload, output(choice(0), choice(0)))).toContain("choices");
    expect(problemOf(payload, output(choice(0), choice(1, 3)))).toContain("new tokens");
  });

  test("lists as many log-probabilities as tokens", () => {
    const logprobs = { token_ids: [1, 2], token_texts: ["a", "b"], logprobs: [-1], likeliest: [null, null] };
    const one = { ...choice(0), logprobs } as unknown as ReturnType<typeof choice>;
    expect(problemOf(payload, output(one, choice(1)))).toContain("other numbers");
  });
});
