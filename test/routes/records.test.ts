// Records by filter and as files, the boards that evaluations stand on, and the pattern that is part of both.
import { beforeAll, describe, expect, it } from "vitest";
import { BoardList, MetricBoard } from "../../src/wire/boards.ts";
import { Evaluation, EvaluationRecord, Leaderboard, MetricName, RecordList } from "../../src/wire/evaluations.ts";
import { TestProject, rows } from "../services/project.ts";
import { ask } from "./method.ts";

const N = 40;
const turns = (text: string) => [
  { role: "system" as const, content: "Be brief" },
  { role: "user" as const, content: text },
];

let project: TestProject;
let first: Evaluation;
let second: Evaluation;

const post = (body: unknown, headers = {}) => ask(project, "POST", "/v1/evaluations", body, headers);
const get = (path: string) => ask(project, "GET", path);
const evaluated = async (body: object) => Evaluation.parse((await post(body)).body);

/** The first `right` answers are right. */
const given = (right: number, wrong = "No idea, 100% sure") =>
  rows(N).map((row, i) => ({ id: row.id, response: i < right ? row.response.toUpperCase() : wrong }));

/** Every page of a list of records. */
async function walk(id: string, query: string, limit = 100): Promise<EvaluationRecord[]> {
  const found: EvaluationRecord[] = [];
  for (let after = ""; ;) {
    const answer = await get(`/v1/evaluations/${id}/records?limit=${limit}${after}&${query}`);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    const list = RecordList.parse(answer.body);
    found.push(...list.data);
    if (!list.has_more) return found;
    after = `&after=${list.last_id}`;
  }
}
const items = (records: EvaluationRecord[]) => records.map((record) => record.item);
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `test-${from + i}`);

beforeAll(async () => {
  project = await TestProject.create();
  const chat = rows(N, "chat").map((row, i) => ({ ...row, prompt: turns(`Question ${i}`) }));
  await project.dataset("short", [...rows(N), ...chat]);
  first = await evaluated({ name: "first", dataset: "short", responses: given(30) });
  await project.model("student");
  second = await evaluated({ name: "second", dataset: "short", responses: given(20, "Cannot say") });
});

describe("a filter of records", () => {
  it("leaves the right or the wrong of a metric", async () => {
    expect(items(await walk(first.id, "outcome=right"))).toEqual(range(0, 30));
    expect(items(await walk(first.id, "outcome=wrong"))).toEqual(range(30, N));
    expect(items(await walk(first.id, "outcome=wrong&metric=contains"))).toEqual(range(30, N));
    expect(items(await walk(first.id, "outcome=right&metric=numeric_match"))).toEqual(range(0, 30));
  });

  it("counts a skipped item as neither", async () => {
    expect(await walk(first.id, "outcome=right&metric=regex_match")).toEqual([]);
    expect(await walk(first.id, "outcome=wrong&metric=regex_match")).toEqual([]);
  });

  it("composes with cursor paging", async () => {
    expect(items(await walk(first.id, "outcome=wrong", 3))).toEqual(range(30, N));
    expect(items(await walk(first.id, "", 7))).toEqual(range(0, N));
  });

  it.each([
    ["in a prompt, whatever the case", "q=qUESTION%2017", ["test-17"]],
    ["in the response", "q=NO%20idea", range(30, N)],
    ["in a reference", "q=the%20answer%20is%2012", ["test-12"]],
    ["that looks like a wildcard", "q=%25", range(30, N)],
    ["of which there is none", "q=_", []],
    ["longer than D1's LIKE takes", `q=${"the answer is 3 ".repeat(5)}`, []],
  ])("finds text %s", async (_, query, expected) => {
    expect(items(await walk(first.id, query))).toEqual(expected);
  });

  it("takes the words of a conversation for text, and its roles for none", async () => {
    const responses = rows(N, "chat").map(({ id }) => ({ id, response: "-" }));
    const { id } = await evaluated({ name: "talk", dataset: "short", split: "chat", responses });
    expect(items(await walk(id, "q=question%2011"))).toEqual(["chat-11"]);
    expect(await walk(id, "q=be%20BRIEF")).toHaveLength(N);
    expect(await walk(id, "q=system")).toEqual([]);
  });

  it("leaves what has changed from another evaluation, with what that has", async () => {
    const changed = await walk(first.id, `changed_from=${second.id}`);
    expect(items(changed)).toEqual(range(20, 30));
    expect(changed[0]!.other).toMatchObject({ response: "Cannot say", metrics: { exact_match: 0 } });
    expect(changed[0]!.metrics.exact_match).toBe(100);
    expect(items(await walk(second.id, `changed_from=${first.id}&outcome=wrong&q=22`))).toEqual(["test-22"]);
    expect(await walk(first.id, `changed_from=${second.id}&outcome=wrong`)).toEqual([]);
    expect(items(await walk(first.id, `changed_from=${second.id}`, 4))).toEqual(range(20, 30));
    expect(await walk(first.id, `changed_from=${second.id}&metric=regex_match`)).toEqual([]);
    expect((await walk(first.id, ""))[0]!.other).toBeNull();
  });

  it("compares evaluations of one split only", async () => {
    const responses = rows(N, "chat").map(({ id }) => ({ id, response: "-" }));
    const { id } = await evaluated({ name: "talk", dataset: "short", split: "chat", responses });
    const answer = await get(`/v1/evaluations/${first.id}/records?changed_from=${id}`);
    expect(answer).toMatchObject({
      status: 400,
      body: { error: { param: "changed_from", message: expect.stringMatching(/is of split chat .* same split/) } },
    });
    const unknown = await get(`/v1/evaluations/${first.id}/records?changed_from=ev_unknown`);
    expect(unknown).toMatchObject({ status: 404, body: { error: { param: "changed_from" } } });
  });

  it.each(["outcome=great", "metric=bleu", "changed_from=run_1", "q=", "colour=red"])("refuses %s", async (query) => {
    const param = query.split("=")[0];
    for (const path of ["records", "records.csv", "records.jsonl"]) {
      const answer = await get(`/v1/evaluations/${first.id}/${path}?${query}`);
      expect(answer).toMatchObject({ status: 400, body: { error: { param } } });
    }
  });

  it("bounds a page in text as well as in rows", async () => {
    const long = rows(30, "long");
    await project.dataset("long", long);
    const lines = long.map(({ id }) => JSON.stringify({ id, response: "word ".repeat(38_000) })).join("\n");
    const headers = { "content-type": "application/x-ndjson" };
    const answer = await ask(project, "POST", "/v1/evaluations?name=long&dataset=long&split=long", lines, headers);
    const { id } = Evaluation.parse(answer.body);
    const page = RecordList.parse((await get(`/v1/evaluations/${id}/records?limit=100`)).body);
    expect(page.has_more).toBe(true);
    expect(page.data.length).toBeGreaterThan(10);
    expect(items(await walk(id, ""))).toEqual(long.map((row) => row.id));
    const file = await get(`/v1/evaluations/${id}/records.jsonl`);
    expect(String(file.body).trim().split("\n")).toHaveLength(30);
  });
});

describe("an export", () => {
  it("as JSON Lines has every record that the list has", async () => {
    const answer = await get(`/v1/evaluations/${first.id}/records.jsonl?outcome=wrong`);
    expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
    expect(answer.headers.get("content-disposition")).toBe(`attachment; filename="${first.id}.records.jsonl"`);
    const lines = String(answer.body).trim().split("\n");
    const records = lines.map((line) => EvaluationRecord.parse(JSON.parse(line)));
    expect(records).toEqual(await walk(first.id, "outcome=wrong"));
  });

  it("as CSV quotes what must be, and makes formulas harmless", async () => {
    const wild = ["=1+1", "+1", "-1", "@sum", "\tx", "\rx", 'a "b", c\nd', "é = 1", "'", ""];
    const responses = rows(N).map(({ id }, i) => ({ id, response: wild[i] ?? "plain" }));
    const { id } = await evaluated({ name: "wild", dataset: "short", responses });
    const answer = await get(`/v1/evaluations/${id}/records.csv`);
    expect(answer.headers.get("content-type")).toBe("text/csv; charset=utf-8; header=present");
    expect(answer.headers.get("content-disposition")).toBe(`attachment; filename="${id}.records.csv"`);
    const lines = String(answer.body).split("\r\n");
    const head = `id,item,seed,prompt,references,response,finish_reason,num_tokens,${MetricName.options.join(",")}`;
    expect(lines[0]).toBe(head);
    const written = ["'=1+1", "'+1", "'-1", "'@sum", "'\tx", '"\'\rx"', '"a ""b"", c\nd"', "é = 1", "'", ""];
    written.forEach((cell, i) => {
      const start = `test-${i}:0,test-${i},0,Question ${i}${"?".repeat(i % 7)},"[""answer ${i}"",""the answer is ${i}""]",`;
      expect(lines[i + 1]).toMatch(`${start}${cell},,,0,0,`);
    });
    expect(lines).toHaveLength(N + 2);
    expect(lines.at(-1)).toBe("");
  });

  it("as CSV has the other evaluation's columns where it is compared with one", async () => {
    const answer = await get(`/v1/evaluations/${first.id}/records.csv?changed_from=${second.id}`);
    const [head, line, ...rest] = String(answer.body).split("\r\n");
    expect(head).toMatch(/,other_response,other_exact_match,.*,other_rouge_l$/);
    expect(line).toMatch(/^test-20:0,.*,Cannot say,0,/);
    expect(line!.split(",").length).toBeGreaterThanOrEqual(head!.split(",").length);
    expect(rest).toHaveLength(10);
  });

  it("of nothing is an empty file, or a header", async () => {
    const query = "outcome=right&metric=regex_match";
    expect((await get(`/v1/evaluations/${first.id}/records.jsonl?${query}`)).body).toBe("");
    expect(String((await get(`/v1/evaluations/${first.id}/records.csv?${query}`)).body)).toMatch(/^id,.*\r\n$/);
  });

  it("goes over many pages", async () => {
    const many = rows(1100, "many");
    await project.dataset("many", many);
    const responses = many.map(({ id, response }) => ({ id, response }));
    const { id } = await evaluated({ name: "many", dataset: "many", split: "many", responses });
    const lines = String((await get(`/v1/evaluations/${id}/records.jsonl`)).body)
      .trim()
      .split("\n");
    expect(lines.map((line) => EvaluationRecord.parse(JSON.parse(line)).item)).toEqual(many.map((row) => row.id));
  });

  it("of another project's evaluation is not found", async () => {
    const other = await TestProject.create();
    for (const path of ["records", "records.csv", "records.jsonl"]) {
      expect((await ask(other, "GET", `/v1/evaluations/${first.id}/${path}`)).status).toBe(404);
    }
    const mine = await ask(other, "GET", `/v1/boards`);
    expect(BoardList.parse(mine.body).data).toEqual([]);
  });
});

describe("a pattern", () => {
  const pattern = "(?i)^answer [0-9]+$";

  it("grades regex_match, and is part of the evaluation and of its board", async () => {
    const body = { name: "first", dataset: "short", responses: given(30) };
    const matched = await evaluated({ ...body, pattern });
    expect(matched).toMatchObject({ pattern, metrics: { regex_match: { mean: 75, n: N } } });
    expect(matched.id).not.toBe(first.id);
    expect(first).toMatchObject({ pattern: null, metrics: { regex_match: null } });
    expect((await evaluated({ ...body, pattern })).id).toBe(matched.id);
    expect((await evaluated(body)).id).toBe(first.id);
    const path = `/v1/leaderboard?dataset=short&template=given&metric=regex_match&pattern=${encodeURIComponent(pattern)}`;
    const board = Leaderboard.parse((await get(path)).body);
    expect(board).toMatchObject({ pattern, metric: "regex_match", data: [{ evaluation: matched.id, mean: 75 }] });
    const plain = Leaderboard.parse((await get("/v1/leaderboard?dataset=short&template=given")).body);
    expect(plain.pattern).toBeNull();
    expect(plain.data.map((entry) => entry.evaluation)).not.toContain(matched.id);
  });

  it("may come in the query beside JSON Lines", async () => {
    const lines = given(10)
      .map((line) => JSON.stringify(line))
      .join("\n");
    const headers = { "content-type": "application/x-ndjson" };
    const path = `/v1/evaluations?name=lines&dataset=short&pattern=${encodeURIComponent(pattern)}`;
    expect(await ask(project, "POST", path, lines, headers)).toMatchObject({
      status: 200,
      body: { pattern, metrics: { regex_match: { mean: 25 } } },
    });
    const bad = await ask(project, "POST", "/v1/evaluations?name=lines&dataset=short&pattern=(", lines, headers);
    expect(bad).toMatchObject({ status: 400, body: { error: { param: "pattern" } } });
  });

  it.each([
    ["does not parse", "(unclosed"],
    ["is a backreference", "(a)\\1"],
    ["is over 500 characters", "a".repeat(501)],
    ["expands to a large program", "(.{1000})"],
    ["is empty", ""],
  ])("that %s is a 400 that names it", async (_, bad) => {
    const responses = given(1);
    for (const body of [
      { name: "bad", dataset: "short", responses, pattern: bad },
      { model: "student", dataset: "short", pattern: bad },
    ]) {
      expect(await post(body)).toMatchObject({ status: 400, body: { error: { param: "pattern" } } });
    }
  });
});

describe("an evaluation", () => {
  it("says what it was made from", () => {
    const { provenance } = first;
    expect(provenance).toMatchObject({ weights_digest: null, tokenizer_digest: null, template_digest: null });
    expect(provenance.split_sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(provenance.graders.split(" ")).toHaveLength(MetricName.options.length);
  });

  it("of a model names its weights, tokenizer and template", async () => {
    await project.model("known");
    const { provenance } = await evaluated({ model: "known", dataset: "short" });
    expect(Object.values(provenance).filter((part) => part === null)).toEqual([]);
  });
});

describe("the boards of a project", () => {
  it("are listed once each, those with the newest evaluation first, page by page", async () => {
    const { data: listed } = BoardList.parse((await get("/v1/boards?limit=100")).body);
    const data = listed.map((board) => MetricBoard.parse(board));
    const names = data.map((board) => `${board.dataset_name} ${board.split} ${board.pattern ?? "-"}`);
    expect(new Set(names).size).toBe(names.length);
    const times = data.map((board) => board.newest_at);
    expect(times).toEqual(times.toSorted().toReversed());
    const short = data.find(
      (board) => board.dataset_name === "short" && board.split === "test" && board.pattern === null,
    );
    expect(short).toMatchObject({ object: "board", dataset: first.dataset, template: null, limit: null });
    const models = Leaderboard.parse((await get("/v1/leaderboard?dataset=short&template=given")).body).data.length;
    expect(short!.models).toBe(models);
    const paged = [];
    for (let after = ""; ;) {
      const page = BoardList.parse((await get(`/v1/boards?limit=2${after}`)).body);
      paged.push(...page.data);
      if (!page.has_more) break;
      after = `&after=${page.last_id}`;
    }
    expect(paged).toEqual(listed);
    expect((await get("/v1/boards?after=ev_unknown")).status).toBe(400);
  });
});
