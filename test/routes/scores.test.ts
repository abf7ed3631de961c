import { beforeAll, describe, expect, it } from "vitest";
import type { ScoredResponse } from "../../src/wire/payloads.ts";
import { Job } from "../../src/wire/jobs.ts";
import { PreferenceList, ScoreList } from "../../src/wire/scores.ts";
import { FakeWorker } from "../pool/fake-worker.ts";
import { TestProject, hash } from "../services/project.ts";
import { ask } from "./method.ts";

const scored = (teacher: number[], student: number[]): ScoredResponse => ({
  token_ids: teacher.map((_, i) => i + 1),
  token_texts: teacher.map((_, i) => `t${i}`),
  teacher_logprobs: teacher,
  student_logprobs: student,
});

let project: TestProject;
const pair = { teacher: "teacher", student: "student" };
const body = { ...pair, prompt: "2 + 2 =", responses: ["4", "5"] };
const NOW = { prefer: "wait=0" };

beforeAll(async () => {
  project = await TestProject.create();
  await project.model("teacher");
  await project.model("student", { layers: 15 });
  await project.model("other", { tokenizer_digest: hash("another"), vocab_size: 1000 });
  await project.model("small", { context_length: 4 });
});

describe("a request that is not valid gets a clear 4xx", () => {
  it.each([
    ["an unknown field", { ...body, temperature: 1 }, 400, "temperature"],
    ["a wrong type", { ...body, beta: "high" }, 400, "beta"],
    ["an empty prompt", { ...body, prompt: "" }, 400, "prompt"],
    ["no responses", { ...body, responses: [] }, 400, "responses"],
    ["65 responses", { ...body, responses: Array.from({ length: 65 }, String) }, 400, "responses"],
    ["both prompt and messages", { ...body, messages: [{ role: "user", content: "hi" }] }, 400, "prompt"],
    ["an unknown model", { ...body, teacher: "nobody" }, 404, "teacher"],
    ["an unknown checkpoint", { ...body, student: "run_x@10" }, 404, "student"],
    ["tokenizers that differ", { ...body, student: "other" }, 400, "student"],
    ["a prompt beyond the context", { ...body, student: "small", prompt: "x".repeat(2000) }, 400, "prompt"],
    ["an empty response under raw", { ...body, template: "raw", responses: ["", "a"] }, 400, "responses"],
  ])("%s", async (_, sent, status, param) => {
    const answer = await ask(project, "POST", "/v1/scores", sent);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ error: { param }, status });
  });

  it("says what differs between tokenizers", async () => {
    const { body: answer } = await ask(project, "POST", "/v1/scores", { ...body, student: "other" });
    expect(answer).toMatchObject({
      error: { code: "tokenizer_mismatch", message: expect.stringMatching(/49152 and 1000/) },
    });
  });

  it("refuses a read key", async () => {
    const headers = { authorization: `Bearer ${await project.key("read")}` };
    expect((await ask(project, "POST", "/v1/scores", body, headers)).status).toBe(403);
  });
});

describe("without a worker", () => {
  it("the job waits, and the answer says so", async () => {
    const answer = await ask(project, "POST", "/v1/scores", body, { ...NOW, "idempotency-key": "waiting" });
    expect(answer.status).toBe(202);
    const job = Job.parse(answer.body);
    expect(job).toMatchObject({ kind: "score", status: "queued", workers_available: 0, result: null });
    expect(job.note).toMatch(/No worker is connected/);
    expect(answer.headers.get("location")).toBe(`/v1/jobs/${job.id}`);
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(answer.headers.get("preference-applied")).toBe("wait=0");
    const again = await ask(project, "POST", "/v1/scores", body, { ...NOW, "idempotency-key": "waiting" });
    expect(Job.parse(again.body).id).toBe(job.id);
    const changed = { ...body, beta: 0.2 };
    expect((await ask(project, "POST", "/v1/scores", changed, { ...NOW, "idempotency-key": "waiting" })).status).toBe(
      422,
    );
  });
});

describe("with a worker", () => {
  let own: TestProject;
  let worker: FakeWorker;
  beforeAll(async () => {
    own = await TestProject.create();
    await own.model("teacher");
    await own.model("student");
    worker = await FakeWorker.connect(own.pool);
  });

  it("scores: rewards, preferences, ranks, pairwise", async () => {
    const pending = ask(own, "POST", "/v1/scores", { ...body, beta: 0.5, return_tokens: true });
    const lease = await worker.lease();
    expect(lease.payload).toMatchObject({ kind: "score", items: [{ prompt: body.prompt, responses: body.responses }] });
    const items = [[scored([-1, -2], [-0.5, -1.5]), scored([-1], [-3])]];
    const { job, fence, lineage } = lease;
    await worker.ask({
      type: "result",
      job,
      fence,
      lineage,
      output: { kind: "score", items, tokens: 3, teacher_cache: { hits: 1, misses: 1 } },
      artifact: null,
    });
    const answer = await pending;
    expect(answer.status).toBe(200);
    const list = ScoreList.parse(answer.body);
    // r = 0.5 * (-2 + 3) = 0.5 and 0.5 * (-3 + 1) = -1.
    expect(list.data.map((score) => score.implicit_reward)).toEqual([0.5, -1]);
    expect(list.data.map((score) => score.rank)).toEqual([1, 2]);
    expect(list.data[0]!.preference).toBeCloseTo(1 / (1 + Math.exp(-1.5)), 12);
    expect(list.pairwise[1]![0]).toBeCloseTo(1 / (1 + Math.exp(1.5)), 12);
    expect(list.data[0]!.tokens).toHaveLength(2);
    expect(list).toMatchObject({ usage: { tokens: 3 }, computed_by: "pool", note: null, teacher: "teacher" });
    expect(list.data[0]!.tokens![1]).toMatchObject({ id: 2, text: "t1", implicit_reward: 0.25 });
  });

  it("preferences of pairs agree with the scores", async () => {
    const pairs = [
      { prompt: "p", chosen: "a", rejected: "b" },
      { prompt: "q", chosen: "c", rejected: "c" },
    ];
    const pending = ask(own, "POST", "/v1/preferences", { ...pair, beta: 0.5, pairs });
    const { job, fence, lineage } = await worker.lease();
    const same = scored([-1], [-2]);
    const items = [
      [scored([-1, -2], [-0.5, -1.5]), scored([-1], [-3])],
      [same, same],
    ];
    await worker.ask({
      type: "result",
      job,
      fence,
      lineage,
      output: { kind: "score", items, tokens: 5, teacher_cache: { hits: 0, misses: 2 } },
      artifact: null,
    });
    const list = PreferenceList.parse((await pending).body);
    expect(list.data[0]).toMatchObject({ chosen_reward: 0.5, rejected_reward: -1, margin: 1.5 });
    expect(list.data[0]!.loss).toBeCloseTo(Math.log1p(Math.exp(-1.5)), 12);
    expect(list.data[1]).toMatchObject({ margin: 0, probability: 0.5 });
    expect(list.accuracy).toBe(0.75);
  });

  it("preferences of prompts set the teacher's output against the student's, and explain the margin", async () => {
    const pending = ask(own, "POST", "/v1/preferences", { ...pair, prompts: ["p"], generation: { max_new_tokens: 4 } });
    const { job, fence, lineage, payload } = await worker.lease();
    expect(payload).toMatchObject({
      kind: "compare",
      prompts: ["p"],
      generation: { max_new_tokens: 4, temperature: 0 },
    });
    const answer = (response: string, values: ScoredResponse) => ({
      response,
      finish_reason: "stop" as const,
      scored: values,
    });
    const items = [{ teacher: answer("yes", scored([-1], [-3])), student: answer("no", scored([-3], [-1])) }];
    await worker.ask({
      type: "result",
      job,
      fence,
      lineage,
      output: { kind: "compare", items, tokens: 4 },
      artifact: null,
    });
    const list = PreferenceList.parse((await pending).body);
    expect(list.data[0]).toMatchObject({ chosen: "yes", rejected: "no" });
    expect(list.data[0]!.margin).toBeCloseTo(-0.4, 12);
    expect(list.note).toMatch(/never\s+positive in expectation/);
  });

  it("a failure of the caller's making keeps its code; others are the job's", async () => {
    const fail = async (code: string, retryable: boolean) => {
      const pending = ask(own, "POST", "/v1/scores", body);
      const { job, fence, lineage } = await worker.lease();
      await worker.ask({ type: "fail", job, fence, lineage, code, detail: "why", retryable });
      return pending;
    };
    expect(await fail("prompt_too_long", false)).toMatchObject({
      status: 400,
      body: { error: { code: "prompt_too_long", message: "why" } },
    });
    const other = await fail("nonfinite_logprob", false);
    expect(other).toMatchObject({ status: 422, body: { error: { code: "job_failed" } } });
    expect(JSON.stringify(other.body)).toContain("nonfinite_logprob");
  });

  it("a payload too large for a frame goes through R2", async () => {
    const responses = Array.from({ length: 3 }, (_, i) => `${i}${"é".repeat(60_000)}`);
    const pending = ask(own, "POST", "/v1/scores", { ...body, responses });
    const { job, fence, lineage, payload, artifact } = await worker.lease();
    expect(payload).toBeNull();
    expect(artifact!.bytes).toBeGreaterThan(262_144);
    const misses = { teacher_cache: { hits: 0, misses: responses.length } };
    const output = { kind: "score" as const, items: [responses.map(() => scored([-1], [-1]))], tokens: 3, ...misses };
    await worker.ask({ type: "result", job, fence, lineage, output, artifact: null });
    expect(ScoreList.parse((await pending).body).data).toHaveLength(3);
  });
});
