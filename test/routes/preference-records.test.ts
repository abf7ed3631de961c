// Judged pairs by filter and as files.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PreferenceEvaluation } from "../../src/wire/preference-evaluations.ts";
import { PreferenceRecord, PreferenceRecordList } from "../../src/wire/preference-evaluations.ts";
import { TestProject } from "../services/project.ts";
import { BASE, JudgedProject, N, margin } from "./judging.ts";
import { ask } from "./method.ts";

let judged: JudgedProject;
/** Rows 0 to 19 are right, 20 to 29 tie, 30 to 39 are wrong. */
let accuracy: PreferenceEvaluation;
/** Two seeds of each row; the student's own output is preferred to the teacher's in every row but the first. */
let closeness: PreferenceEvaluation;

beforeAll(async () => {
  judged = await JudgedProject.create();
  const models = { student: "a", teacher: "teacher" };
  accuracy = await judged.evaluated({ ...models, dataset: "pairs" }, (i) => margin(i < 20 ? 1 : i < 30 ? 0 : -1));
  const generation = { max_new_tokens: 8, temperature: 1, seeds: [1, 2] };
  closeness = await judged.evaluated({ ...models, dataset: "prompts", generation, limit: 3 }, (i) =>
    margin(i === 0 ? 1 : -1),
  );
});
afterAll(() => judged.close());

const get = (path: string) => judged.ask("GET", `${BASE}/${path}`);

/** Every page of a list of records. */
async function walk({ id }: { id: string }, query: string, limit = 100): Promise<PreferenceRecord[]> {
  const found: PreferenceRecord[] = [];
  for (let after = ""; ;) {
    const answer = await get(`${id}/records?limit=${limit}${after}&${query}`);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    const list = PreferenceRecordList.parse(answer.body);
    found.push(...list.data);
    if (!list.has_more) return found;
    after = `&after=${list.last_id}`;
  }
}
const items = (records: PreferenceRecord[]) => records.map((record) => record.item);
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `test-${from + i}`);

describe("a filter of judged pairs", () => {
  it.each([
    ["outcome=right", range(0, 20)],
    ["outcome=tie", range(20, 30)],
    ["outcome=wrong", range(30, N)],
    ["", range(0, N)],
  ])("leaves by its margin what %s says, page by page", async (query, expected) => {
    expect(items(await walk(accuracy, query))).toEqual(expected);
    expect(items(await walk(accuracy, query, 3))).toEqual(expected);
  });

  it("under closeness goes by the margin too, seed by seed", async () => {
    expect((await walk(closeness, "outcome=right")).map(({ id }) => id)).toEqual(["test-0:1", "test-0:2"]);
    expect(await walk(closeness, "outcome=wrong", 1)).toHaveLength(4);
    expect(await walk(closeness, "outcome=tie")).toEqual([]);
  });

  it.each([
    ["in a prompt, whatever the case", "q=qUESTION%2017", ["test-17"]],
    ["in the chosen response", "q=answer%2012&outcome=right", ["test-12"]],
    ["in the rejected response", "q=NO%20answer%203", ["test-3", ...range(30, 40)]],
    ["that looks like a wildcard", "q=%25", []],
    ["that is a field of the record and none of its text", "q=implicit_reward", []],
  ])("finds text %s", async (_, query, expected) => {
    expect(items(await walk(accuracy, query))).toEqual(expected);
  });

  it.each(["outcome=great", "q=", "metric=rouge_l"])("refuses %s", async (query) => {
    const param = query.split("=")[0];
    for (const path of ["records", "records.csv", "records.jsonl"]) {
      const answer = await get(`${accuracy.id}/${path}?${query}`);
      expect(answer).toMatchObject({ status: 400, body: { error: { param } } });
    }
  });
});

describe("an export of judged pairs", () => {
  it("as JSON Lines has every record that the list has", async () => {
    const answer = await get(`${accuracy.id}/records.jsonl?outcome=wrong`);
    expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
    expect(answer.headers.get("content-disposition")).toBe(`attachment; filename="${accuracy.id}.records.jsonl"`);
    const lines = String(answer.body).trim().split("\n");
    const records = lines.map((line) => PreferenceRecord.parse(JSON.parse(line)));
    expect(records).toEqual(await walk(accuracy, "outcome=wrong"));
  });

  it("as CSV has both sides in columns of their own", async () => {
    const answer = await get(`${closeness.id}/records.csv`);
    expect(answer.headers.get("content-type")).toBe("text/csv; charset=utf-8; header=present");
    expect(answer.headers.get("content-disposition")).toBe(`attachment; filename="${closeness.id}.records.csv"`);
    const [head, first, ...rest] = String(answer.body).trimEnd().split("\r\n");
    expect(head).toBe(
      "id,item,seed,prompt," +
        "chosen,chosen_finish_reason,chosen_num_tokens,chosen_teacher_logprob,chosen_student_logprob,chosen_implicit_reward," +
        "rejected,rejected_finish_reason,rejected_num_tokens,rejected_teacher_logprob,rejected_student_logprob,rejected_implicit_reward," +
        "margin,probability,correct",
    );
    expect(first).toMatch(
      /^test-0:1,test-0,1,Question 0,teacher on test-0,stop,2,-5,-4,0\.1,student on test-0,stop,2,-7,-7,0,0\.1,0\.52\d*,$/,
    );
    expect(rest).toHaveLength(5);
    const judgedPairs = String((await get(`${accuracy.id}/records.csv?outcome=tie`)).body);
    expect(judgedPairs.split("\r\n")[1]).toMatch(/^test-20:0,test-20,,Question 20.*,0,0\.5,0\.5$/);
  });

  it("of nothing is an empty file, or a header", async () => {
    expect((await get(`${accuracy.id}/records.jsonl?q=nowhere`)).body).toBe("");
    expect(String((await get(`${accuracy.id}/records.csv?q=nowhere`)).body)).toMatch(/^id,.*\r\n$/);
  });

  it("of another project's evaluation is not found", async () => {
    const other = await TestProject.create();
    for (const path of ["records", "records.csv", "records.jsonl"]) {
      expect((await ask(other, "GET", `${BASE}/${accuracy.id}/${path}`)).status).toBe(404);
    }
  });
});
