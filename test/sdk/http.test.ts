// Retries, errors and waiting, against answers that a service gives.
import { expect, test } from "vitest";
import { ApiError, Understudy } from "../../src/sdk/index.ts";

const problem = (status: number, code: string, headers: Record<string, string> = {}) =>
  Response.json(
    { error: { message: "no", type: "t", param: "beta", code }, type: "urn:x", title: "x", status, detail: "no" },
    { status, headers: { "x-request-id": "req_1", "retry-after-ms": "1", ...headers } },
  );

const health = () => Response.json({ status: "ok", version: "0.1.0", d1: "ok", pool: "ok" });

/** A client whose requests get these answers in turn, and what it asked. */
function against(...answers: (() => Response | Promise<Response>)[]) {
  const asked: Request[] = [];
  const client = new Understudy({
    baseUrl: "http://service.test",
    apiKey: "us_key",
    fetch: async (request) => {
      asked.push(request);
      return answers[Math.min(asked.length, answers.length) - 1]!();
    },
  });
  return { client, asked };
}

test("an error answer is an ApiError with the service's code, field and request id", async () => {
  const { client, asked } = against(() => problem(400, "invalid_request"));
  const error = await client.health().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({
    status: 400,
    code: "invalid_request",
    param: "beta",
    requestId: "req_1",
    message: "no",
  });
  expect(asked).toHaveLength(1);
  expect(asked[0]!.headers.get("authorization")).toBe("Bearer us_key");
});

test("a proxy's page is an ApiError too", async () => {
  const { client } = against(() => new Response("<h1>Not here</h1>", { status: 404 }));
  await expect(client.health()).rejects.toMatchObject({ status: 404, code: "unknown" });
});

test("429, 5xx and broken connections are tried again, with the same Idempotency-Key", async () => {
  const { client, asked } = against(
    () => problem(429, "rate_limited"),
    () => problem(503, "unavailable"),
    () => {
      throw new TypeError("connection lost");
    },
    () => problem(422, "idempotency_mismatch", { "x-should-retry": "false" }),
  );
  await expect(client.createKey({ name: "k", role: "read" })).rejects.toMatchObject({ code: "idempotency_mismatch" });
  expect(asked).toHaveLength(4);
  const keys = new Set(asked.map((request) => request.headers.get("idempotency-key")));
  expect(keys.size).toBe(1);
  expect([...keys][0]).toMatch(/^[0-9a-f-]{36}$/);
});

test("x-should-retry decides, either way", async () => {
  const stubborn = against(() => problem(503, "unavailable", { "x-should-retry": "false" }));
  await expect(stubborn.client.health()).rejects.toMatchObject({ status: 503 });
  expect(stubborn.asked).toHaveLength(1);
  const kind = against(() => problem(409, "model_not_ready", { "x-should-retry": "true" }), health);
  await expect(kind.client.health()).resolves.toMatchObject({ status: "ok" });
});

test("it gives up after its tries, with the last answer", async () => {
  const { client, asked } = against(() => problem(500, "internal"));
  await expect(client.health()).rejects.toMatchObject({ status: 500 });
  expect(asked).toHaveLength(5);
});

const job =
  (status: string, result: unknown, error: unknown = null) =>
  () =>
    Response.json(
      {
        id: "job_1",
        object: "job",
        created_at: "2026-01-01T00:00:00.000Z",
        kind: "score",
        status,
        position: null,
        attempts: 1,
        workers_available: 1,
        progress: null,
        subject: null,
        retry_of: null,
        result,
        error,
        note: null,
      },
      { status: status === "queued" ? 202 : 200 },
    );

test("a 202 is waited for, and its job's result is the answer", async () => {
  const list = {
    object: "score_list",
    id: "score_1",
    teacher: "t",
    student: "s",
    beta: 0.1,
    length_normalize: false,
    data: [],
    pairwise: [],
    computed_by: "pool",
    teacher_cache: { hits: 0, misses: 1 },
    usage: { tokens: 1 },
    note: null,
  };
  const { client, asked } = against(job("queued", null), job("running", null), job("completed", list));
  const answer = await client.scores({ teacher: "t", student: "s", prompt: "p", responses: ["a"] });
  expect(answer).toEqual(list);
  expect(asked.map((request) => new URL(request.url).pathname)).toEqual([
    "/v1/scores",
    "/v1/jobs/job_1",
    "/v1/jobs/job_1",
  ]);
  expect(asked[0]!.headers.get("prefer")).toBe("wait=30");
});

test("a failed job is an ApiError with its reason", async () => {
  const failure = { code: "prompt_too_long", message: "8193 tokens", retryable: false };
  const { client } = against(job("queued", null), job("failed", null, failure));
  const answer = client.scores({ teacher: "t", student: "s", prompt: "p", responses: ["a"] });
  await expect(answer).rejects.toMatchObject({ code: "prompt_too_long", message: "8193 tokens" });
});

test("records are asked for page by page with the same filter, and exported with it", async () => {
  const page = (has_more: boolean, last_id: string) => () =>
    Response.json({ object: "list", data: [], has_more, first_id: null, last_id });
  const { client, asked } = against(page(true, "test-7:0"), page(false, "test-9:0"), () => new Response("id\r\n"));
  const filter = { outcome: "wrong", metric: "contains", q: "100 %" } as const;
  for await (const record of client.evaluations.records("ev_1", { ...filter, limit: 7 })) expect(record).toBe(null);
  expect(await (await client.evaluations.exportRecords("ev_1", "csv", filter)).text()).toBe("id\r\n");
  const wanted = "outcome=wrong&metric=contains&q=100+%25";
  expect(asked.map(({ url }) => url.replace("http://service.test", ""))).toEqual([
    `/v1/evaluations/ev_1/records?${wanted}&limit=7`,
    `/v1/evaluations/ev_1/records?${wanted}&limit=7&after=test-7%3A0`,
    `/v1/evaluations/ev_1/records.csv?${wanted}`,
  ]);
});
