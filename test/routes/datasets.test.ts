import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { MAX_DATASET_BYTES } from "../../src/config.ts";
import { Dataset, DatasetList } from "../../src/wire/datasets.ts";
import { call, jsonl, newKey, newProject, upload, walk } from "./harness.ts";
import type { TestProject } from "./harness.ts";

let project: TestProject;
let other: TestProject;
let key: string;
beforeAll(async () => {
  [project, other] = await Promise.all([newProject(), newProject()]);
  key = await newKey(project, "write");
});

const pair = (i: number, more: object = {}) => ({ prompt: `What is ${i}?`, completion: `${i}`, ...more });
const user = { role: "user", content: "Hi" };
const assistant = (content: string) => ({ role: "assistant", content });
const stored = async (): Promise<number> => (await env.BLOBS.list({ prefix: `${project.id}/` })).objects.length;

describe("formats, recognised by their fields", () => {
  const turns = [{ role: "system", content: "Be brief." }, user];
  it.each([
    ["prompt_completion", pair(1), { prompt: "What is 1?", response: "1", references: ["1"] }],
    ["prompt_completion", { prompt: turns, completion: [assistant("Yo")] }, { prompt: turns, response: "Yo" }],
    [
      "prompt_completion",
      { ...pair(1), references: ["1", "one"] },
      { response: "1", references: ["1", "one"], rejected: null },
    ],
    [
      "prompt_chosen_rejected",
      { prompt: "Hi", chosen: "Yo", rejected: "No" },
      { prompt: "Hi", response: "Yo", rejected: "No", references: ["Yo"] },
    ],
    [
      "prompt_chosen_rejected",
      { prompt: [user], chosen: [assistant("Yo")], rejected: [assistant("No")] },
      { prompt: [user], response: "Yo", rejected: "No" },
    ],
    ["messages", { messages: [...turns, assistant("Yo")] }, { prompt: turns, response: "Yo", rejected: null }],
    [
      "openai_preference",
      {
        input: { messages: [user], tools: [], parallel_tool_calls: true },
        preferred_output: [assistant("Yo")],
        non_preferred_output: [assistant("No")],
      },
      { prompt: [user], response: "Yo", rejected: "No" },
    ],
    ["instruction", { instruction: "Add", input: "1, 2", output: "3" }, { prompt: "Add\n\n1, 2", response: "3" }],
    ["instruction", { instruction: "Say hi", input: "", output: "hi" }, { prompt: "Say hi", response: "hi" }],
    [
      "instruction",
      { instruction: "Who?", context: "Ann sings.", response: "Ann", category: "closed_qa" },
      { prompt: "Who?\n\nAnn sings.", response: "Ann" },
    ],
  ])("%s", async (format, line, row) => {
    const name = `f-${crypto.randomUUID()}`;
    const made = await upload(key, `name=${name}`, jsonl(line));
    expect(made).toMatchObject({ status: 200, body: { format, rows: 1, splits: { train: 1 } } });
    const rows = await call(key, "GET", `/v1/datasets/${name}/rows`);
    expect(rows.body.data).toEqual([expect.objectContaining({ id: "row-1", split: "train", ...row })]);
  });

  it("lists the columns that it left out, also inside `input`", async () => {
    const line = {
      id: "a",
      topic: "x",
      input: { messages: [user], tools: [] },
      preferred_output: [assistant("Yo")],
      non_preferred_output: [assistant("No")],
    };
    const { body } = await upload(key, "name=ignored", jsonl(line, { ...line, id: "b", more: 1 }));
    expect(body.ignored_fields).toEqual(["topic", "input.tools", "more"]);
  });

  it("takes columns that are null for absent, as tables are exported", async () => {
    const line = { ...pair(1), id: null, split: null, references: null, chosen: null, messages: null };
    expect((await upload(key, "name=nulls", jsonl(line))).body).toMatchObject({ format: "prompt_completion", rows: 1 });
  });
});

describe("a bad line is a 400 with its number, and nothing is stored", () => {
  const good = pair(1);
  it.each([
    ["not JSON", `${JSON.stringify(good)}\n{"prompt": \n`, 2, /not JSON/],
    ["not an object", "[1]\n", 1, /not a JSON object/],
    ["no known fields", jsonl(good, { question: "a", answer: "b" }), 2, /fit no format/],
    ["no completion", jsonl({ prompt: "Hi" }), 1, /completion is required/],
    ["an empty prompt", jsonl(good, good, { prompt: "", completion: "x" }), 3, /prompt: is empty/],
    ["a number for a text", jsonl({ prompt: "Hi", completion: 3 }), 1, /completion/],
    ["a last turn that is the user's", jsonl({ messages: [assistant("a"), user] }), 1, /last turn/],
    ["no turn before the answer", jsonl({ messages: [assistant("a")] }), 1, /last turn/],
    ["an unknown role", jsonl({ messages: [{ role: "tool", content: "" }, assistant("a")] }), 1, /messages\[0\]\.role/],
    ["two chosen turns", jsonl({ prompt: "a", chosen: [user, assistant("b")], rejected: "c" }), 1, /chosen/],
    ["another format", jsonl(good, { instruction: "a", output: "b" }), 2, /one format/],
    ["a duplicate id", jsonl(pair(1, { id: "a" }), pair(2, { id: "b" }), pair(3, { id: "a" })), 3, /that of line 1/],
    ["an id of another's default", jsonl(pair(1, { id: "row-2" }), pair(2)), 2, /that of line 1/],
    ["a malformed id", jsonl(pair(1, { id: "a b" })), 1, /id/],
    ["a malformed split", jsonl(pair(1, { split: "../x" })), 1, /split/],
    ["no references", jsonl(pair(1, { references: [] })), 1, /references/],
    ["a lone surrogate", `{"prompt": "a\\ud800", "completion": "b"}\n`, 1, /surrogate/],
    ["bytes that are not UTF-8", new Uint8Array([0x7b, 0xff, 0x7d]), 1, /UTF-8/],
    ["33 splits", jsonl(...Array.from({ length: 33 }, (_, i) => pair(i, { split: `s${i}` }))), 33, /one too many/],
  ])("%s", async (_, text, line, reason) => {
    const before = await stored();
    const answer = await upload(key, "name=bad", text);
    expect(answer).toMatchObject({ status: 400, body: { error: { code: "invalid_row", param: `line ${line}` } } });
    expect(answer.body.error.message).toMatch(reason);
    expect(answer.body.error.message).toMatch(new RegExp(`^line ${line}: `));
    expect(await stored()).toBe(before);
    expect((await call(key, "GET", "/v1/datasets/bad")).status).toBe(404);
  });
});

describe("uploads", () => {
  it.each([
    ["no name", "", jsonl(pair(1)), {}, 400, "name"],
    ["a bad name", "name=a/b", jsonl(pair(1)), {}, 400, "name"],
    ["no rows", "name=none", "\n\n", {}, 400, null],
    ["another media type", "name=x", jsonl(pair(1)), { "content-type": "text/csv" }, 415, "Content-Type"],
    ["JSON for JSON Lines", "name=x", jsonl(pair(1)), { "content-type": "application/json" }, 415, "Content-Type"],
  ])("%s is refused", async (_, query, text, headers, status, param) => {
    expect(await upload(key, query, text, headers)).toMatchObject({ status, body: { error: { param } } });
  });

  it.each(["application/x-ndjson", "application/jsonl", "text/plain; charset=utf-8"])("takes %s", async (type) => {
    const name = `t-${crypto.randomUUID()}`;
    expect((await upload(key, `name=${name}`, jsonl(pair(1)), { "content-type": type })).status).toBe(200);
  });

  it("takes a byte-order mark, CRLF, blank lines and a last line without its end", async () => {
    const text = `\ufeff${JSON.stringify(pair(1))}\r\n\r\n${JSON.stringify(pair(2))}`;
    const { body } = await upload(key, "name=windows", text);
    expect(body).toMatchObject({ rows: 2, skipped: [] });
    const rows = await call(key, "GET", "/v1/datasets/windows/rows");
    expect(rows.body.data.map(({ id }: { id: string }) => id)).toEqual(["row-1", "row-3"]);
  });

  it("sorts rows into splits: their own, else the query's", async () => {
    const text = jsonl(pair(1, { split: "test" }), pair(2), pair(3, { split: "test" }));
    expect((await upload(key, "name=splits&split=dev", text)).body.splits).toEqual({ test: 2, dev: 1 });
    const rows = await call(key, "GET", "/v1/datasets/splits/rows?split=test");
    expect(rows.body.data.map(({ response }: { response: string }) => response)).toEqual(["1", "3"]);
    const none = await call(key, "GET", "/v1/datasets/splits/rows?split=train");
    expect(none).toMatchObject({ status: 404, body: { error: { param: "split" } } });
    expect(none.body.error.message).toContain("test, dev");
  });

  it("has the digest of what was sent", async () => {
    const text = jsonl(pair(1), pair(2));
    const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
    const expected = Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
    expect(Dataset.parse((await upload(key, "name=digest", text)).body).sha256).toBe(expected);
  });

  it("refuses one over the cap while it comes", async () => {
    const line = new TextEncoder().encode(`${JSON.stringify({ prompt: "p".repeat(100_000), completion: "c" })}\n`);
    let sent = 0;
    const endless = new ReadableStream({
      pull: (controller) => {
        sent += line.byteLength;
        controller.enqueue(line);
      },
    });
    const answer = await upload(key, "name=big", endless);
    expect(answer).toMatchObject({ status: 413, body: { error: { code: "too_large" } } });
    expect(sent).toBeLessThan(MAX_DATASET_BYTES * 1.1);
  });

  it("replays under an Idempotency-Key, and refuses another body", async () => {
    const headers = { "idempotency-key": "ds-1" };
    const first = await upload(key, "name=replayed", jsonl(pair(1)), headers);
    const again = await upload(key, "name=replayed", jsonl(pair(1)), headers);
    expect(again).toMatchObject({ status: 200, body: first.body });
    const before = await stored();
    const mismatch = await upload(key, "name=replayed", jsonl(pair(2)), headers);
    expect(mismatch).toMatchObject({ status: 422, body: { error: { code: "idempotency_mismatch" } } });
    expect(await stored()).toBe(before);
  });

  it("refuses a name that is taken, and stores nothing", async () => {
    await upload(key, "name=taken", jsonl(pair(1)));
    const before = await stored();
    const answer = await upload(key, "name=taken", jsonl(pair(2)));
    expect(answer).toMatchObject({ status: 409, body: { error: { code: "name_taken", param: "name" } } });
    expect(await stored()).toBe(before);
  });
});

describe("rows", () => {
  const n = 350;
  const ids = Array.from({ length: n }, (_, i) => `r:${i}`);
  beforeAll(async () => {
    const rows = ids.map((id, i) => pair(i, { id, split: i % 5 === 0 ? "test" : "train" }));
    await upload(key, "name=many", jsonl(...rows));
  });

  it.each([1, 7, 50, 100])(
    "are walked whole by pages of %i",
    async (limit) => {
      const found = await walk(key, "/v1/datasets/many/rows?split=train", limit);
      expect(found.map(({ id }) => id)).toEqual(ids.filter((_, i) => i % 5 !== 0));
    },
    60_000,
  );

  it("begin after any row, and after the last there are none", async () => {
    const page = await call(key, "GET", "/v1/datasets/many/rows?split=test&after=r:5&limit=2");
    expect(page.body).toMatchObject({ has_more: true, first_id: "r:10", last_id: "r:15" });
    const end = await call(key, "GET", "/v1/datasets/many/rows?split=test&after=r:345");
    expect(end.body).toEqual({ object: "list", data: [], has_more: false, first_id: null, last_id: null });
  });

  it("do not follow a row that is not in the split", async () => {
    const answer = await call(key, "GET", "/v1/datasets/many/rows?split=test&after=r:1");
    expect(answer).toMatchObject({ status: 400, body: { error: { param: "after" } } });
  });
});

describe("data sets", () => {
  it("are listed newest first, page by page", async () => {
    const secret = await newKey(other, "write");
    for (const name of ["a", "b", "c", "d", "e"]) await upload(secret, `name=${name}`, jsonl(pair(1)));
    DatasetList.parse((await call(secret, "GET", "/v1/datasets")).body);
    const names = (await walk(secret, "/v1/datasets", 2)).map(({ name }) => name);
    expect([...names].sort()).toEqual(["a", "b", "c", "d", "e"]);
    expect(names[0]).toBe("e");
  });

  it("of another project are a 404", async () => {
    const { body } = await upload(key, "name=mine", jsonl(pair(1)));
    for (const path of [`/v1/datasets/${body.id}`, `/v1/datasets/${body.id}/rows`]) {
      expect((await call(other.admin, "GET", path)).status).toBe(404);
    }
    expect((await call(other.admin, "DELETE", `/v1/datasets/${body.id}`)).status).toBe(404);
    expect((await call(key, "GET", `/v1/datasets/${body.id}`)).body).toEqual(body);
  });

  it("are gone with their blobs when deleted", async () => {
    const before = await stored();
    const { body } = await upload(key, "name=gone", jsonl(pair(1), pair(2, { split: "test" })));
    expect(await stored()).toBe(before + 2);
    expect((await call(key, "DELETE", "/v1/datasets/gone")).body).toEqual({
      id: body.id,
      object: "dataset",
      deleted: true,
    });
    expect(await stored()).toBe(before);
    expect((await call(key, "GET", `/v1/datasets/${body.id}`)).status).toBe(404);
  });

  it("stay while an evaluation uses them", async () => {
    await upload(key, "name=used", jsonl(pair(1, { split: "test" })));
    const evaluation = await call(key, "POST", "/v1/evaluations", {
      json: { name: "given", dataset: "used", responses: [{ id: "row-1", response: "1" }] },
    });
    expect(evaluation.status).toBeLessThan(300);
    const answer = await call(key, "DELETE", "/v1/datasets/used");
    expect(answer).toMatchObject({ status: 409, body: { error: { code: "in_use" } } });
    expect(answer.body.error.message).toContain(evaluation.body.id);
  });

  it("count as bytes stored", async () => {
    const some = await newProject();
    const secret = await newKey(some, "write");
    expect((await call(secret, "GET", "/v1/usage")).body).toEqual({ object: "usage", data: [], bytes_stored: 0 });
    await upload(secret, "name=a", jsonl(pair(1)));
    expect((await call(secret, "GET", "/v1/usage")).body.bytes_stored).toBeGreaterThan(50);
  });
});
