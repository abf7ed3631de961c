// Clients that people already have, unmodified, against the real stack: openai for Node and for Python.
import { spawnSync } from "node:child_process";
import { Agent, request } from "node:http";
import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { PYTHON, inRoot } from "../../scripts/paths.ts";
import { startHarness } from "./harness.ts";
import type { Harness } from "./harness.ts";

let harness: Harness;
let openai: OpenAI;
beforeAll(async () => {
  harness = await startHarness();
  harness.startWorker();
  await harness.client.createModel({ name: "tiny", source: { type: "local", name: "tiny" } });
  await harness.client.modelReady("tiny");
  openai = new OpenAI({ baseURL: `${harness.stack.url}/v1`, apiKey: harness.stack.keys.admin, maxRetries: 0 });
});
afterAll(() => harness.stop());
afterEach(({ task }) => {
  if (task.result?.state === "fail") console.log(harness.logs());
});

const model = "tiny";
const prompt = "Say the word red";
const messages = [{ role: "user" as const, content: prompt }];

describe("openai for Node", () => {
  test("models", async () => {
    const ids = [];
    for await (const listed of openai.models.list()) ids.push(listed.id);
    expect(ids).toHaveLength(1);
  });

  test("a completion: the same seed gives the same text, another another", async () => {
    const asked = { model, prompt: [prompt, "one two"], max_tokens: 12, n: 2, seed: 7, logprobs: 2 };
    const [first, again, other] = await Promise.all(
      [asked, asked, { ...asked, seed: 90 }].map((body) => openai.completions.create(body)),
    );
    expect(first!.choices.map((choice) => choice.index)).toEqual([0, 1, 2, 3]);
    const texts = (answer: typeof first) => answer!.choices.map((choice) => choice.text);
    expect(texts(again)).toEqual(texts(first));
    expect(texts(other)).not.toEqual(texts(first));
    const [choice] = first!.choices;
    expect(choice!.logprobs!.tokens!.join("")).toBe(choice!.text);
    expect(first!.usage!.total_tokens).toBe(first!.usage!.prompt_tokens + first!.usage!.completion_tokens);
  });

  test("an echo scores the prompt: every token but the first has a log-probability", async () => {
    const body = { model, prompt, max_tokens: 1, echo: true, logprobs: 1, temperature: 0 };
    const [choice] = (await openai.completions.create(body)).choices;
    const { tokens, token_logprobs, top_logprobs, text_offset } = choice!.logprobs!;
    expect(choice!.text.startsWith(prompt)).toBe(true);
    expect(tokens!.join("")).toBe(choice!.text);
    expect(text_offset).toEqual(tokens!.map((_, i) => tokens!.slice(0, i).join("").length));
    expect(token_logprobs![0]).toBeNull();
    expect(token_logprobs!.slice(1).every((value) => value < 0)).toBe(true);
    expect(token_logprobs!.at(-1)).toBe(Math.max(...Object.values(top_logprobs!.at(-1)!)));
  });

  test("a stream has the text of the answer", async () => {
    const asked = { model, prompt, max_tokens: 30, seed: 5 };
    const whole = await openai.completions.create(asked);
    let text = "";
    for await (const chunk of await openai.completions.create({ ...asked, stream: true }))
      text += chunk.choices[0]!.text;
    expect(text).toBe(whole.choices[0]!.text);
  });

  test("a chat, whole and as a stream with its usage", async () => {
    const asked = { model, messages, max_completion_tokens: 20, seed: 3, logprobs: true, top_logprobs: 2 };
    const whole = await openai.chat.completions.create(asked);
    const [choice] = whole.choices;
    expect(choice!.message.role).toBe("assistant");
    expect(choice!.logprobs!.content).toHaveLength(whole.usage!.completion_tokens);
    const stream = await openai.chat.completions.create({
      ...asked,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let usage = null;
    let tokens = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      tokens += chunk.choices[0]?.logprobs?.content?.length ?? 0;
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe(choice!.message.content);
    expect(usage).toEqual(whole.usage);
    expect(tokens).toBe(whole.usage!.completion_tokens);
  });

  test("errors are its own classes, with what is at fault", async () => {
    await expect(openai.completions.create({ model: "nobody", prompt })).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    const long = openai.completions.create({ model, prompt: "word ".repeat(2000) });
    await expect(long).rejects.toMatchObject({ status: 400, code: "prompt_too_long" });
    const other = new OpenAI({ baseURL: `${harness.stack.url}/v1`, apiKey: "us_no_no", maxRetries: 0 });
    await expect(other.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
  });
});

test("openai for Python", () => {
  const env = { ...process.env, OPENAI_BASE_URL: `${harness.stack.url}/v1`, OPENAI_API_KEY: harness.stack.keys.admin };
  const run = spawnSync(PYTHON, [inRoot("test", "e2e", "openai_client.py"), model], { encoding: "utf8", env });
  expect(run.stderr).toBe("");
  expect(run.stdout).toBe("ok\n");
});

describe("a connection that is used again", () => {
  /** One request over the agent's connection; its status. */
  const send = (agent: Agent, method: string, path: string, bytes: number): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = {
        authorization: "Bearer sk-nobody",
        "content-type": "application/json",
        "content-length": bytes,
      };
      const sent = request(`${harness.stack.url}${path}`, { agent, method, headers }, (answer) => {
        answer.resume().on("end", () => resolve(answer.statusCode ?? 0));
      });
      sent.on("error", reject).end("x".repeat(bytes));
    });

  test.each([0, 1024, 100_000, 1_000_000])("holds after refused bodies of %i bytes", async (bytes) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let times = 0; times < 10; times += 1) {
      expect(await send(agent, "POST", "/v1/scores", bytes)).toBe(401);
      expect(await send(agent, "GET", "/healthz", 0)).toBe(200);
    }
    agent.destroy();
  });
});
