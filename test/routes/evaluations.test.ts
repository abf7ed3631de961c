import { beforeAll, describe, expect, it } from "vitest";
import { cutBatches } from "../../src/services/evaluate.ts";
import { Evaluation, EvaluationList, Leaderboard, RecordList } from "../../src/wire/evaluations.ts";
import { FakeWorker } from "../pool/fake-worker.ts";
import { TestProject, rows } from "../services/project.ts";
import { ask } from "./method.ts";
import { generate } from "./training.ts";

const N = 40;
let project: TestProject;
beforeAll(async () => {
  project = await TestProject.create();
  await project.dataset("short", rows(N));
  await project.model("student");
});

/** The first `right` answers are right. */
const given = (right: number) =>
  rows(N).map((row, i) => ({ id: row.id, response: i < right ? row.response.toUpperCase() : "no idea" }));
const base = { dataset: "short", name: "mine" };
const post = (body: unknown, headers = {}) => ask(project, "POST", "/v1/evaluations", body, headers);

describe("given responses", () => {
  it("are graded at once, with no worker", async () => {
    const answer = await post({ ...base, responses: given(30) });
    expect(answer.status).toBe(200);
    const evaluation = Evaluation.parse(answer.body);
    expect(evaluation).toMatchObject({ status: "completed", model: "mine", template: null, n: N, done: N, job: null });
    expect(evaluation.metrics?.exact_match).toMatchObject({ mean: 75, n: N });
    expect(evaluation.metrics!.rouge_l!.low).toBeLessThan(evaluation.metrics!.rouge_l!.mean);
    const records = await ask(project, "GET", `/v1/evaluations/${evaluation.id}/records?limit=2`);
    const list = RecordList.parse(records.body);
    expect(list).toMatchObject({ has_more: true, last_id: "test-1:0" });
    expect(list.data[0]).toMatchObject({ item: "test-0", finish_reason: null, num_tokens: null });
    expect(Evaluation.parse((await ask(project, "GET", `/v1/evaluations/${evaluation.id}`)).body)).toEqual(evaluation);
  });

  it("may come as JSON Lines", async () => {
    const lines = given(20)
      .map((line) => JSON.stringify(line))
      .join("\n");
    const headers = { "content-type": "application/x-ndjson" };
    const answer = await ask(project, "POST", "/v1/evaluations?name=lines&dataset=short", lines, headers);
    expect(Evaluation.parse(answer.body).metrics?.exact_match?.mean).toBe(50);
    const bad = await ask(project, "POST", "/v1/evaluations?name=lines&dataset=short", `${lines}\n{"id": 3}`, headers);
    expect(bad).toMatchObject({ status: 400, body: { error: { param: "line 41" } } });
    const unknown = await ask(project, "POST", "/v1/evaluations?name=lines&dataset=short&beta=1", lines, headers);
    expect(unknown).toMatchObject({ status: 400, body: { error: { param: "beta" } } });
  });

  it.each([
    ["a missing id", given(1).slice(2), /without a response: test-0, test-1;/],
    ["an unknown id", [...given(1), { id: "ghost", response: "" }], /does not have: ghost;/],
    ["a duplicate id", [...given(1), given(1)[3]!], /more than once: test-3;/],
  ])("%s is a 400 that names it, and leaves nothing behind", async (_, responses, message) => {
    const answer = await post({ ...base, name: "bad", responses });
    expect(answer).toMatchObject({
      status: 400,
      body: { error: { param: "responses", message: expect.stringMatching(message) } },
    });
    const list = EvaluationList.parse((await ask(project, "GET", "/v1/evaluations")).body);
    expect(list.data.map((evaluation) => evaluation.model)).not.toContain("bad");
  });

  it("are not graded twice: the same content, or the same Idempotency-Key", async () => {
    const body = { ...base, name: "twice", responses: given(10) };
    const first = Evaluation.parse((await post(body)).body);
    expect(Evaluation.parse((await post(body)).body).id).toBe(first.id);
    const repeat = Evaluation.parse((await post({ ...body, repeat: true })).body);
    expect(repeat.id).not.toBe(first.id);
    const key = { "idempotency-key": "k1" };
    const keyed = { ...body, responses: given(11) };
    const [a, b] = await Promise.all([post(keyed, key), post(keyed, key)]);
    expect(Evaluation.parse(a.body).id).toBe(Evaluation.parse(b.body).id);
    expect((await post({ ...body, responses: given(12) }, key)).status).toBe(422);
    expect((await post({ model: "student", dataset: "short" }, key)).status).toBe(422);
  });

  it("refuses other media types, unknown fields, splits and data sets", async () => {
    expect((await post({ ...base, responses: given(1) }, { "content-type": "text/plain" })).status).toBe(415);
    expect((await post({ ...base, responses: given(1), extra: 1 })).body).toMatchObject({ error: { param: "extra" } });
    expect((await post({ ...base, split: "dev", responses: given(1) })).body).toMatchObject({
      status: 404,
      error: { message: expect.stringMatching(/it has test/) },
    });
    expect((await post({ ...base, dataset: "none", responses: given(1) })).status).toBe(404);
  });

  it("make a board of their own", async () => {
    await post({ ...base, name: "strong", responses: given(39) });
    const answer = await ask(project, "GET", "/v1/leaderboard?dataset=short&template=given");
    const board = Leaderboard.parse(answer.body);
    expect(board.data[0]).toMatchObject({ rank: 1, group: 1, model: "strong", mean: 97.5 });
    expect(board.data.at(-1)!.p_vs_best).toBeLessThan(0.001);
    expect(board.data.at(-1)!.group).toBeGreaterThan(1);
    expect(Leaderboard.parse((await ask(project, "GET", "/v1/leaderboard?dataset=short")).body).data).toEqual([]);
    expect((await ask(project, "GET", "/v1/leaderboard?dataset=short&colour=red")).status).toBe(400);
    const limited = await ask(project, "GET", `/v1/leaderboard?dataset=short&template=given&limit=${N}`);
    expect(Leaderboard.parse(limited.body)).toEqual(board);
  });

  it("can be deleted, and are gone at once", async () => {
    const { id } = Evaluation.parse((await post({ ...base, name: "gone", responses: given(5) })).body);
    const answer = await ask(project, "DELETE", `/v1/evaluations/${id}`);
    expect(answer.body).toEqual({ id, object: "evaluation", deleted: true });
    expect((await ask(project, "GET", `/v1/evaluations/${id}`)).status).toBe(404);
    expect((await ask(project, "GET", `/v1/evaluations/${id}/records`)).status).toBe(404);
    expect((await ask(project, "DELETE", `/v1/evaluations/${id}`)).status).toBe(404);
  });

  it("of another project are not found", async () => {
    const { id } = Evaluation.parse((await post({ ...base, responses: given(30) })).body);
    const other = await TestProject.create();
    expect((await ask(other, "GET", `/v1/evaluations/${id}`)).status).toBe(404);
    expect((await ask(other, "GET", `/v1/evaluations/${id}/records`)).status).toBe(404);
    expect((await ask(other, "GET", "/v1/leaderboard?dataset=short")).status).toBe(404);
  });
});

describe("cutting batches", () => {
  it("goes by prompt length, then id, whatever the order of the rows; seeds side by side", () => {
    const split = rows(50);
    const batches = cutBatches(split, [1, 2]);
    expect(cutBatches(split.toReversed(), [1, 2])).toEqual(batches);
    expect(batches.map((batch) => batch.items.length)).toEqual([32, 32, 32, 4]);
    const lengths = batches.flatMap((batch) => batch.items.map((item) => JSON.stringify(item.prompt).length));
    expect(lengths).toEqual(lengths.toSorted((a, b) => a - b));
  });

  it("keeps a batch within a frame", () => {
    const long = rows(8).map((row) => ({ ...row, prompt: "é".repeat(90_000) }));
    expect(cutBatches(long, [1]).map((batch) => batch.items.length)).toEqual([2, 2, 2, 2]);
  });
});

const answer = (item: string) => (item.endsWith("0") ? "wrong" : item.replace("test-", "answer "));

describe("a model", () => {
  it("generates, is graded, and stands on the board", async () => {
    const worker = await FakeWorker.connect(project.pool);
    const body = { model: "student", dataset: "short" };
    const pending = post(body, { prefer: "wait=10" });
    await generate(worker, await worker.lease(), answer);
    const done = await pending;
    expect(done.status).toBe(200);
    const evaluation = Evaluation.parse(done.body);
    expect(evaluation).toMatchObject({ status: "completed", model_name: "student", n: N, done: N, template: "chat" });
    expect(evaluation.metrics?.exact_match?.mean).toBe(90);
    expect(Evaluation.parse((await post(body)).body).id).toBe(evaluation.id);
    const board = Leaderboard.parse((await ask(project, "GET", "/v1/leaderboard?dataset=short")).body);
    expect(board.data).toMatchObject([{ model_name: "student", mean: 90, rank: 1 }]);
    expect((await ask(project, "POST", `/v1/evaluations/${evaluation.id}/cancel`)).body).toMatchObject({
      status: "completed",
    });
    worker.close();
  });

  it("waits for a worker; may be cancelled and deleted meanwhile", async () => {
    const answer = await post({ model: "student", dataset: "short", limit: 3, repeat: true });
    expect(answer.status).toBe(202);
    const { id, job } = Evaluation.parse(answer.body);
    expect(answer.headers.get("location")).toBe(`/v1/evaluations/${id}`);
    expect(job).toMatch(/^job_/);
    const cancelled = await ask(project, "POST", `/v1/evaluations/${id}/cancel`);
    expect(cancelled).toMatchObject({ status: 200, body: { status: "cancelled", limit: 3, n: 3 } });
    expect((await ask(project, "DELETE", `/v1/evaluations/${id}`)).status).toBe(200);
    expect((await ask(project, "GET", `/v1/evaluations/${id}`)).status).toBe(404);
  });

  it("must exist, and seeds must differ", async () => {
    expect((await post({ model: "nobody", dataset: "short" })).status).toBe(404);
    const twice = await post({ model: "student", dataset: "short", generation: { seeds: [1, 1] } });
    expect(twice).toMatchObject({ status: 400, body: { error: { param: "generation.seeds" } } });
  });
});
