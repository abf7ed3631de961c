import { beforeAll, describe, expect, it } from "vitest";
import { ChatCompletion, Completion } from "../../src/wire/completions.ts";
import type { CompleteOutput, CompletePayload, TokenLogprobs } from "../../src/wire/payloads.ts";
import type { Lease } from "../../src/wire/pool.ts";
import { FakeWorker } from "../pool/fake-worker.ts";
import { TestProject } from "../services/project.ts";
import { ask, open, textOf } from "./method.ts";

const COMPLETE = "/v1/completions";
const CHAT = "/v1/chat/completions";

let project: TestProject;
let worker: FakeWorker;
beforeAll(async () => {
  project = await TestProject.create();
  await project.model("teacher");
  worker = await FakeWorker.connect(project.pool, { requests: 8 });
});

const body = { model: "teacher", prompt: "The sky is" };
const chatBody = { model: "teacher", messages: [{ role: "user", content: "Hi" }] };

const logprobs = (
  ...tokens: [text: string, logprob: number | null, likeliest?: [string, number][]][]
): TokenLogprobs => ({
  token_ids: tokens.map((_, i) => i + 1),
  token_texts: tokens.map(([text]) => text),
  logprobs: tokens.map(([, logprob]) => logprob),
  likeliest: tokens.map(([, logprob, likeliest = []]) =>
    logprob === null ? null : likeliest.map(([text, value], id) => ({ id, text, logprob: value })),
  ),
});

const output = (...texts: string[]): CompleteOutput => ({
  kind: "complete",
  prompts: [{ num_tokens: 4, text: null, logprobs: null }],
  choices: texts.map((text, sample) => {
    return { item: 0, sample, text, finish_reason: "length", num_tokens: 3, logprobs: null };
  }),
  tokens: 4 + 3 * texts.length,
});

async function leased(): Promise<{ lease: Lease; payload: CompletePayload }> {
  const lease = await worker.lease();
  if (lease.payload?.kind !== "complete") throw new Error("no completion was leased");
  return { lease, payload: lease.payload };
}

const finish = ({ job, fence }: Lease, answer: CompleteOutput) =>
  worker.ask({ type: "result", job, fence, lineage: null, output: answer, artifact: null });

describe("what is asked of the worker", () => {
  it.each([
    ["a text", { prompt: "a" }, ["a"]],
    ["texts", { prompt: ["a", "b"] }, ["a", "b"]],
    ["tokens", { prompt: [1, 2, 3] }, [[1, 2, 3]]],
    ["lists of tokens", { prompt: [[1], [2, 3]] }, [[1], [2, 3]]],
  ])("%s", async (_, more, prompts) => {
    const pending = ask(project, "POST", COMPLETE, { ...body, ...more, seed: 5 });
    const { lease, payload } = await leased();
    expect(payload.items).toEqual(prompts.map((prompt) => ({ prompt, seeds: [5] })));
    const {
      prompts: [read],
      choices: [choice],
      ...answer
    } = output("x");
    const all = { prompts: prompts.map(() => read!), choices: prompts.map((_, item) => ({ ...choice!, item })) };
    await finish(lease, { ...answer, ...all });
    expect((await pending).status).toBe(200);
  });

  it("OpenAI's defaults, and consecutive seeds around 2^32", async () => {
    const pending = ask(project, "POST", COMPLETE, { ...body, n: 3, seed: 4_294_967_295, stop: "\n" });
    const { lease, payload } = await leased();
    expect(payload).toMatchObject({ echo: false, logprobs: null, stream: false });
    expect(payload.items[0]!.seeds).toEqual([4_294_967_295, 0, 1]);
    expect(payload.settings).toEqual({ max_new_tokens: 16, temperature: 1, top_p: 1, top_k: 0, stop: ["\n"] });
    await finish(lease, output("a", "b", "c"));
    const { body: answer } = await pending;
    expect(Completion.parse(answer).choices.map(({ index, text }) => [index, text])).toEqual([
      [0, "a"],
      [1, "b"],
      [2, "c"],
    ]);
    expect(answer).toMatchObject({
      object: "text_completion",
      model: "teacher",
      id: expect.stringMatching(/^cmpl-/),
      usage: { prompt_tokens: 4, completion_tokens: 9, total_tokens: 13 },
    });
  });

  it("what lm-eval sends to score a text", async () => {
    const asked = { prompt: [[1, 2, 3]], temperature: 0, max_tokens: 1, logprobs: 1, seed: 1234, echo: true };
    const pending = ask(project, "POST", COMPLETE, { model: "teacher", ...asked });
    const { lease, payload } = await leased();
    expect(payload).toMatchObject({ echo: true, logprobs: 1, settings: { max_new_tokens: 1, temperature: 0 } });
    const read = logprobs(["The", null], [" sky", -1.5, [[" sky", -1.5]]], [" is", -2, [[" was", -0.25]]]);
    await finish(lease, {
      ...output(),
      prompts: [{ num_tokens: 3, text: "The sky is", logprobs: read }],
      choices: [
        {
          item: 0,
          sample: 0,
          text: " blue",
          finish_reason: "length",
          num_tokens: 1,
          logprobs: logprobs([" blue", -0.5, [[" blue", -0.5]]]),
        },
      ],
    });
    const { body: answer } = await pending;
    const [choice] = Completion.parse(answer).choices;
    expect(choice).toEqual({
      index: 0,
      text: "The sky is blue",
      finish_reason: "length",
      logprobs: {
        tokens: ["The", " sky", " is", " blue"],
        token_logprobs: [null, -1.5, -2, -0.5],
        top_logprobs: [null, { " sky": -1.5 }, { " was": -0.25, " is": -2 }, { " blue": -0.5 }],
        text_offset: [0, 3, 7, 10],
      },
    });
  });

  it("a conversation: parts joined, developer as system, all the room there is", async () => {
    const messages = [
      {
        role: "developer",
        content: [
          { type: "text", text: "Be " },
          { type: "text", text: "brief." },
        ],
      },
      { role: "user", content: "Hi" },
    ];
    const pending = ask(project, "POST", CHAT, { ...chatBody, messages, logprobs: true, top_logprobs: 2 });
    const { lease, payload } = await leased();
    expect(payload.items[0]!.prompt).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hi" },
    ]);
    expect(payload).toMatchObject({ logprobs: 2, settings: { max_new_tokens: 16_384 } });
    const answer = output("é");
    answer.choices[0]!.logprobs = logprobs(["é", -0.5, [["é", -0.5], ["e", -1]]]); // prettier-ignore
    await finish(lease, answer);
    const { body: chat } = await pending;
    expect(ChatCompletion.parse(chat).choices).toEqual([
      {
        index: 0,
        message: { role: "assistant", content: "é", refusal: null },
        finish_reason: "length",
        logprobs: {
          content: [
            {
              token: "é",
              logprob: -0.5,
              bytes: [195, 169],
              top_logprobs: [
                { token: "é", logprob: -0.5, bytes: [195, 169] },
                { token: "e", logprob: -1, bytes: [101] },
              ],
            },
          ],
          refusal: null,
        },
      },
    ]);
  });

  it("the model of the path, whatever the body names", async () => {
    const pending = ask(project, "POST", `/m/teacher${COMPLETE}`, { ...body, model: "gpt-3.5" });
    const { lease } = await leased();
    await finish(lease, output("x"));
    expect((await pending).body).toMatchObject({ model: "teacher" });
  });
});

describe("what is refused", () => {
  it.each([
    ["an unknown field", COMPLETE, { ...body, tools: [] }, "tools"],
    ["a penalty", COMPLETE, { ...body, presence_penalty: 0.5 }, "presence_penalty"],
    ["best_of", COMPLETE, { ...body, best_of: 2 }, "best_of"],
    ["an empty prompt", COMPLETE, { ...body, prompt: "" }, "prompt"],
    ["an empty prompt among others", COMPLETE, { ...body, prompt: ["a", ""] }, "prompt"],
    ["no tokens and no echo", COMPLETE, { ...body, max_tokens: 0 }, "max_tokens"],
    ["an echo in a stream", COMPLETE, { ...body, echo: true, stream: true }, "echo"],
    ["too many choices", COMPLETE, { ...body, prompt: ["a", "b"], n: 65 }, "n"],
    ["top_logprobs without logprobs", CHAT, { ...chatBody, top_logprobs: 2 }, "top_logprobs"],
    ["an image", CHAT, { ...chatBody, messages: [{ role: "user", content: [{ type: "image_url" }] }] }, "messages"],
  ])("%s", async (_, path, sent, param) => {
    const answer = await ask(project, "POST", path, sent);
    expect(answer.status).toBe(400);
    const { error } = answer.body as { error: { param: string } };
    expect(error.param.split(/[.[]/)[0]).toBe(param);
  });

  it("an unknown model is a 404 that names the field", async () => {
    const answer = await ask(project, "POST", COMPLETE, { ...body, model: "nobody" });
    expect([answer.status, answer.body]).toMatchObject([404, { error: { param: "model", code: "not_found" } }]);
  });

  it("what the worker finds wrong with the prompt is the caller's fault", async () => {
    const pending = ask(project, "POST", COMPLETE, body);
    const { job, fence } = (await leased()).lease;
    const fault = { code: "prompt_too_long", detail: "prompt 0 has 9 tokens", retryable: false };
    await worker.ask({ type: "fail", job, fence, lineage: null, ...fault });
    expect([(await pending).status, (await pending).body]).toMatchObject([400, { error: { code: "prompt_too_long" } }]);
  });
});

/** The data of each event. */
const events = (text: unknown): unknown[] =>
  String(text)
    .split("\n\n")
    .filter((event) => event.startsWith("data: "))
    .map((event) => event.slice(6))
    .map((data) => (data === "[DONE]" ? data : (JSON.parse(data) as unknown)));

const piece = (text: string, sample = 0) => ({ item: 0, sample, text, logprobs: null });

describe("a stream", () => {
  it("of text: pieces as they come, what was held back, usage, and the end", async () => {
    const pending = ask(project, "POST", COMPLETE, { ...body, stream: true, stream_options: { include_usage: true } });
    const { lease } = await leased();
    const delta = { type: "delta" as const, job: lease.job, fence: lease.fence };
    await worker.ask({ ...delta, place: 0, pieces: [piece("The ")] });
    await worker.ask({ ...delta, place: 1, pieces: [piece("sky")] });
    expect(await worker.ask({ ...delta, place: 1, pieces: [piece("sky")] })).toMatchObject({ status: "duplicate" });
    await finish(lease, output("The sky is"));
    const answer = await pending;
    expect(answer.headers.get("content-type")).toMatch(/^text\/event-stream/);
    const all = events(answer.body);
    expect(all.at(-1)).toBe("[DONE]");
    const chunks = all.slice(0, -1).map((event) => Completion.parse(event));
    const usage = chunks.pop()!;
    expect(usage).toMatchObject({ choices: [], usage: { completion_tokens: 3 } });
    expect(chunks.map((chunk) => chunk.choices[0]!.text).join("")).toBe("The sky is");
    expect(chunks.map((chunk) => chunk.choices[0]!.finish_reason)).toEqual([
      ...chunks.slice(1).map(() => null),
      "length",
    ]);
  });

  it("of a conversation: the role first, two choices apart", async () => {
    const pending = ask(project, "POST", CHAT, { ...chatBody, n: 2, stream: true });
    const { lease } = await leased();
    const delta = { type: "delta" as const, job: lease.job, fence: lease.fence };
    await worker.ask({ ...delta, place: 0, pieces: [piece("a"), piece("x", 1)] });
    await finish(lease, output("ab", "xy"));
    const chunks = events((await pending).body).slice(0, -1) as { choices: { index: number; delta: object }[] }[];
    const of = (index: number) => chunks.flatMap(({ choices }) => choices.filter((choice) => choice.index === index));
    expect(of(0).map((choice) => choice.delta)).toEqual([{ role: "assistant", content: "a" }, { content: "b" }]);
    expect(of(1).map((choice) => choice.delta)).toEqual([{ role: "assistant", content: "x" }, { content: "y" }]);
  });

  it("goes on where it was when another worker begins anew", async () => {
    const pending = open(project, "POST", COMPLETE, { ...body, stream: true });
    const first = (await leased()).lease;
    const reader = textOf((await pending).body!);
    await worker.ask({ type: "delta", job: first.job, fence: first.fence, place: 0, pieces: [piece("The s")] });
    await reader.until("The s");
    await worker.ask({ type: "refuse", job: first.job, fence: first.fence, reason: "leaving", retryable: true });
    const second = (await leased()).lease;
    const delta = { type: "delta" as const, job: second.job, fence: second.fence };
    await worker.ask({ ...delta, place: 0, pieces: [piece("The")] });
    await worker.ask({ ...delta, place: 1, pieces: [piece(" sky")] });
    await reader.until("ky");
    await finish(second, output("The sky is"));
    const answer = await reader.until("[DONE]");
    const texts = (events(answer).slice(0, -1) as Completion[]).map((chunk) => chunk.choices[0]!.text);
    expect(texts).toEqual(["The s", "ky", " is"]);
  });

  it("of what fails ends with the error", async () => {
    const pending = ask(project, "POST", COMPLETE, { ...body, stream: true });
    const { job, fence } = (await leased()).lease;
    await worker.ask({
      type: "fail",
      job,
      fence,
      lineage: null,
      code: "empty_prompt",
      detail: "none",
      retryable: false,
    });
    expect(events((await pending).body)).toMatchObject([{ error: { code: "job_failed" } }]);
  });
});
