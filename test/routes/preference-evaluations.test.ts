import { env } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sweep } from "../../src/services/sweep.ts";
import { projects } from "../../src/store/schema.ts";
import {
  PreferenceEvaluation,
  PreferenceEvaluationList,
  PreferenceRecordList,
} from "../../src/wire/preference-evaluations.ts";
import { TestProject, hash, rows } from "../services/project.ts";
import { call } from "./harness.ts";
import { BASE, JudgedProject, N, margin, pairs } from "./judging.ts";
import { ask } from "./method.ts";

let judged: JudgedProject;
beforeAll(async () => {
  judged = await JudgedProject.create();
});
afterAll(() => judged.close());

describe("the preference accuracy of a data set's pairs", () => {
  const body = { student: "a", teacher: "teacher", dataset: "pairs" };

  it("is the share of pairs whose chosen response has the larger reward, with Wilson's interval", async () => {
    const evaluation = await judged.evaluated(body, (i) => margin(i < 30 ? 2 : -2));
    expect(evaluation).toMatchObject({ status: "completed", kind: "accuracy", n: N, done: N, student_name: "a" });
    const { accuracy, student_preferred } = evaluation.metrics!;
    expect(student_preferred).toBeNull();
    // scipy.stats.binomtest(30, 40).proportion_ci(method="wilson")
    expect(accuracy!.mean).toBe(75);
    expect(accuracy!.low).toBeCloseTo(59.80604, 4);
    expect(accuracy!.high).toBeCloseTo(85.81288, 4);
    expect(evaluation.note).toMatch(/not the quality/);
    expect(evaluation.provenance).toMatchObject({ teacher: { weights_digest: hash("weights") } });
    const list = PreferenceEvaluationList.parse((await judged.ask("GET", BASE)).body);
    expect(list.data).toEqual([evaluation]);
    expect((await judged.ask("GET", `${BASE}/${evaluation.id}`)).body).toEqual(evaluation);
    expect((await judged.ask("POST", `${BASE}/${evaluation.id}/cancel`)).body).toEqual(evaluation);
    // Asked again it is the same; the job's result is the evaluation.
    expect((await judged.post(body)).body).toEqual(evaluation);
    expect(evaluation.job).toMatch(/^job_/);
  });

  it("has a record for each pair, in the order of the split, with rewards as POST /v1/preferences has them", async () => {
    const { id } = PreferenceEvaluationList.parse((await judged.ask("GET", BASE)).body).data[0]!;
    const page = PreferenceRecordList.parse((await judged.ask("GET", `${BASE}/${id}/records?limit=100`)).body);
    expect(page.data.map((record) => record.item)).toEqual(rows(N).map((row) => row.id));
    const [first] = page.data;
    expect(first).toMatchObject({
      id: "test-0:0",
      seed: null,
      prompt: "Question 0",
      chosen: { response: "answer 0", finish_reason: null, num_tokens: 2, teacher_logprob: -5, student_logprob: -3 },
      rejected: { response: "no answer 0", implicit_reward: 0 },
      correct: 1,
    });
    expect(first!.chosen.implicit_reward).toBeCloseTo(0.1 * 2, 12);
    expect(first!.margin).toBeCloseTo(0.2, 12);
    expect(first!.probability).toBeCloseTo(1 / (1 + Math.exp(-0.2)), 12);
    expect(page.data[39]).toMatchObject({ correct: 0 });
    const part = PreferenceRecordList.parse(
      (await judged.ask("GET", `${BASE}/${id}/records?after=test-1:0&limit=2`)).body,
    );
    expect(part).toMatchObject({ has_more: true, last_id: "test-3:0" });
    expect((await judged.ask("GET", `${BASE}/${id}/records?after=nothing`)).status).toBe(400);
  });

  it("counts a tie one half, and then bootstraps", async () => {
    const evaluation = await judged.evaluated({ ...body, student: "b" }, (i) => margin(i < 20 ? 1 : i < 30 ? 0 : -1));
    const { accuracy } = evaluation.metrics!;
    expect(accuracy).toMatchObject({ mean: 62.5, n: N });
    // Of 0, 50, 100 with shares 1/4, 1/4, 1/2: sd 41.46, so about 62.5 -+ 1.96 * 41.46 / sqrt(40).
    expect(accuracy!.low).toBeCloseTo(62.5 - 12.85, -0.5);
    expect(accuracy!.high).toBeCloseTo(62.5 + 12.85, -0.5);
    const page = await judged.ask("GET", `${BASE}/${evaluation.id}/records?after=test-19:0&limit=1`);
    expect(page.body).toMatchObject({ data: [{ correct: 0.5, margin: 0, probability: 0.5 }] });
  });

  it("by mean log-probabilities may be another, on a board of its own", async () => {
    const longer = {
      chosen: { teacher: -9, student: -7, tokens: 10 },
      rejected: { teacher: -2, student: -1, tokens: 2 },
    };
    const summed = await judged.evaluated({ ...body, student: "c" }, () => longer);
    const normalized = await judged.evaluated({ ...body, student: "c", length_normalize: true }, () => longer);
    expect([summed, normalized].map((of) => of.metrics!.accuracy!.mean)).toEqual([100, 0]);
    expect(normalized.note).toMatch(/heuristic/);
    const lengths = await judged.board("kind=accuracy&dataset=pairs&length_normalize=true");
    expect(lengths.data.map((entry) => entry.evaluation)).toEqual([normalized.id]);
  });

  it("ranks students across teachers and betas, with paired tests and groups", async () => {
    const other = await judged.evaluated({ ...body, teacher: "other-teacher", beta: 2 }, (i) =>
      margin(i < 28 ? 2 : -2),
    );
    const found = await judged.board("kind=accuracy&dataset=pairs");
    expect(found).toMatchObject({ teacher: null, beta: null, generation: null, kind: "accuracy" });
    expect(found.data.map(({ student_name, teacher_name, mean }) => [student_name, teacher_name, mean])).toEqual([
      ["c", "teacher", 100],
      ["a", "teacher", 75],
      ["a", "other-teacher", 70],
      ["b", "teacher", 62.5],
    ]);
    expect(found.data.map(({ rank, group }) => [rank, group])).toEqual([[1, 1], [2, 2], [3, 2], [4, 3]]); // prettier-ignore
    expect(found.data[2]).toMatchObject({ beta: 2, evaluation: other.id, strength: null });
    // Exact McNemar: c alone is right on 10 and on 12 items, of the two between on 2: p = 2 / 2^10, 2 / 2^12, 2 / 2^2.
    // b has ties: sign flips, whose smallest p is 1 / 10,001. Holm over the five tests shown, b's against c the smallest.
    const [, second, third, last] = found.data;
    expect(last!.p_vs_best).toBeLessThan(0.001);
    expect(third!.p_vs_best).toBeCloseTo(4 * 2 ** -11, 12);
    expect(second!.p_vs_best).toBeCloseTo(3 * 2 ** -9, 12);
    expect(third!.p_vs_previous).toBeCloseTo(0.5, 12);
    expect(found.detectable_difference).toBeGreaterThan(0);
    expect(found.note).toMatch(/Ranked by accuracy/);
    const refused = await judged.ask("GET", "/v1/preference-leaderboard?kind=accuracy&dataset=pairs&beta=2");
    expect(refused).toMatchObject({ status: 400, body: { error: { param: "beta" } } });
  });

  it("needs rejected responses, and two models that read alike", async () => {
    expect(await judged.post({ ...body, dataset: "prompts" })).toMatchObject({
      status: 400,
      body: { error: { param: "dataset", message: expect.stringMatching(/row test-0 has no rejected/) } },
    });
    await judged.project.model("foreign", { tokenizer_digest: hash("another") });
    expect(await judged.post({ ...body, student: "foreign" })).toMatchObject({
      status: 400,
      body: { error: { code: "tokenizer_mismatch" } },
    });
    expect((await judged.post({ ...body, student: "nobody" })).status).toBe(404);
    expect((await judged.post({ ...body, colour: "red" })).body).toMatchObject({ error: { param: "colour" } });
  });
});

describe("under way", () => {
  const body = { student: "a", teacher: "teacher", dataset: "pairs", limit: 3, repeat: true };

  it("may be cancelled, then deleted; another project knows nothing of it", async () => {
    const busy = await TestProject.create();
    await busy.dataset("pairs", pairs(N), "prompt_chosen_rejected");
    await busy.model("teacher");
    await busy.model("a");
    const answer = await ask(busy, "POST", BASE, body, { "idempotency-key": "k" });
    expect(answer.status).toBe(202);
    const { id } = PreferenceEvaluation.parse(answer.body);
    expect(answer.headers.get("location")).toBe(`${BASE}/${id}`);
    expect((await ask(busy, "POST", BASE, body, { "idempotency-key": "k" })).body).toMatchObject({ id });
    expect((await ask(busy, "POST", BASE, { ...body, limit: 4 }, { "idempotency-key": "k" })).status).toBe(422);
    expect((await ask(busy, "DELETE", `${BASE}/${id}`)).status).toBe(409);
    const cancelled = await ask(busy, "POST", `${BASE}/${id}/cancel`);
    expect(cancelled).toMatchObject({ status: 200, body: { status: "cancelled", limit: 3, n: 3 } });
    expect((await judged.ask("GET", `${BASE}/${id}`)).status).toBe(404);
    expect((await judged.ask("GET", `${BASE}/${id}/records`)).status).toBe(404);
    expect((await ask(busy, "GET", `/v1/evaluations/${id.replace("pe_", "ev_")}`)).status).toBe(404);
    const gone = await ask(busy, "DELETE", `${BASE}/${id}`);
    expect(gone.body).toEqual({ id, object: "preference_evaluation", deleted: true });
    expect((await ask(busy, "GET", `${BASE}/${id}`)).status).toBe(404);
  });

  it("deletion takes records and comparisons with it, and the board forgets", async () => {
    const before = await judged.board("kind=accuracy&dataset=pairs");
    const id = before.data[0]!.evaluation;
    expect((await judged.ask("DELETE", `${BASE}/${id}`)).status).toBe(200);
    expect((await judged.ask("GET", `${BASE}/${id}/records`)).status).toBe(404);
    expect((await judged.board("kind=accuracy&dataset=pairs")).data.map((entry) => entry.evaluation)).not.toContain(id);
  });

  it("what it uses stays while it is there; with the project's retention it goes before them", async () => {
    const admin = await judged.project.key("admin");
    for (const path of ["models/teacher", "models/b", "datasets/pairs"]) {
      const refused = await call(admin, "DELETE", `/v1/${path}`);
      expect([path, refused.status, refused.body.error.code]).toEqual([path, 409, "in_use"]);
    }
    await judged.project.db.update(projects).set({ retentionDays: 1 }).where(eq(projects.id, judged.project.id));
    await sweep(env, Date.now() + 2 * 24 * 60 * 60 * 1000);
    expect((await judged.ask("GET", BASE)).body).toMatchObject({ data: [] });
    expect((await call(admin, "GET", "/v1/datasets/pairs/rows")).status).toBe(404);
    expect((await call(admin, "DELETE", "/v1/models/teacher")).status).toBe(200);
  });
});
