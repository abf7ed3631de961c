import { env } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sweep } from "../../src/services/sweep.ts";
import { projects } from "../../src/store/schema.ts";
import {
  PreferenceEvaluation,
  PreferenceEvaluationList,
  PreferenceLeaderboard,
  PreferenceRecordList,
} from "../../src/wire/preference-evaluations.ts";
import { FakeWorker } from "../pool/fake-worker.ts";
import { TestProject, hash, rows } from "../services/project.ts";
import { call } from "./harness.ts";
import { ask } from "./method.ts";
import { scorePairs } from "./training.ts";
import type { Found } from "./training.ts";

const N = 40;
const pairs = (n: number) => rows(n).map((row, i) => ({ ...row, rejected: `no answer ${i}` }));

let project: TestProject;
let worker: FakeWorker;
let teacher: string;
beforeAll(async () => {
  project = await TestProject.create();
  await project.dataset("pairs", pairs(N), "prompt_chosen_rejected");
  await project.dataset("prompts", rows(N));
  teacher = await project.model("teacher");
  for (const name of ["other-teacher", "a", "b", "c"]) await project.model(name);
  worker = await FakeWorker.connect(project.pool);
});
afterAll(() => worker.close());

const BASE = "/v1/preference-evaluations";
const post = (body: object, headers = {}) => ask(project, "POST", BASE, body, headers);
const place = (item: string): number => Number(item.slice("test-".length));

/** Margins, x beta, that an item's pair comes to: the student finds chosen as much likelier than the teacher does. */
const margin = (nats: number): { chosen: Found; rejected: Found } => ({
  chosen: { teacher: -5, student: -5 + nats },
  rejected: { teacher: -7, student: -7 },
});

/** Judged by the worker, and settled. */
async function evaluated(
  body: object,
  judge: (place: number, seed: number) => number | { chosen: Found; rejected: Found },
): Promise<PreferenceEvaluation> {
  const pending = post(body, { prefer: "wait=10" });
  let left = 1;
  while (left > 0) {
    const lease = await worker.lease();
    await scorePairs(worker, lease, (item, seed) => {
      const found = judge(place(item), seed);
      return typeof found === "number" ? margin(found) : found;
    });
    const { subject } = (await project.pool.getJob(project.id, lease.job))!;
    const now = await project.pool.getEvaluation(project.id, subject!);
    left = now!.status === "completed" ? 0 : 1;
  }
  const done = await pending;
  expect(done.status).toBe(200);
  return PreferenceEvaluation.parse(done.body);
}

const board = async (query: string): Promise<PreferenceLeaderboard> =>
  PreferenceLeaderboard.parse((await ask(project, "GET", `/v1/preference-leaderboard?${query}`)).body);

describe("the preference accuracy of a data set's pairs", () => {
  const body = { student: "a", teacher: "teacher", dataset: "pairs" };

  it("is the share of pairs whose chosen response has the larger reward, with Wilson's interval", async () => {
    const evaluation = await evaluated(body, (i) => (i < 30 ? 2 : -2));
    expect(evaluation).toMatchObject({ status: "completed", kind: "accuracy", n: N, done: N, student_name: "a" });
    const { accuracy, student_preferred } = evaluation.metrics!;
    expect(student_preferred).toBeNull();
    // scipy.stats.binomtest(30, 40).proportion_ci(method="wilson")
    expect(accuracy!.mean).toBe(75);
    expect(accuracy!.low).toBeCloseTo(59.80604, 4);
    expect(accuracy!.high).toBeCloseTo(85.81288, 4);
    expect(evaluation.note).toMatch(/not the quality/);
    expect(evaluation.provenance).toMatchObject({ teacher: { weights_digest: hash("weights") } });
    const list = PreferenceEvaluationList.parse((await ask(project, "GET", BASE)).body);
    expect(list.data).toEqual([evaluation]);
    expect((await ask(project, "GET", `${BASE}/${evaluation.id}`)).body).toEqual(evaluation);
    expect((await ask(project, "POST", `${BASE}/${evaluation.id}/cancel`)).body).toEqual(evaluation);
    // Asked again it is the same; the job's result is the evaluation.
    expect((await post(body)).body).toEqual(evaluation);
    expect(evaluation.job).toMatch(/^job_/);
  });

  it("has a record for each pair, in the order of the split, with rewards as POST /v1/preferences has them", async () => {
    const { id } = PreferenceEvaluationList.parse((await ask(project, "GET", BASE)).body).data[0]!;
    const page = PreferenceRecordList.parse((await ask(project, "GET", `${BASE}/${id}/records?limit=100`)).body);
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
      (await ask(project, "GET", `${BASE}/${id}/records?after=test-1:0&limit=2`)).body,
    );
    expect(part).toMatchObject({ has_more: true, last_id: "test-3:0" });
    expect((await ask(project, "GET", `${BASE}/${id}/records?after=nothing`)).status).toBe(400);
  });

  it("counts a tie one half, and then bootstraps", async () => {
    const evaluation = await evaluated({ ...body, student: "b" }, (i) => (i < 20 ? 1 : i < 30 ? 0 : -1));
    const { accuracy } = evaluation.metrics!;
    expect(accuracy).toMatchObject({ mean: 62.5, n: N });
    // Of 0, 50, 100 with shares 1/4, 1/4, 1/2: sd 41.46, so about 62.5 -+ 1.96 * 41.46 / sqrt(40).
    expect(accuracy!.low).toBeCloseTo(62.5 - 12.85, -0.5);
    expect(accuracy!.high).toBeCloseTo(62.5 + 12.85, -0.5);
    const page = await ask(project, "GET", `${BASE}/${evaluation.id}/records?after=test-19:0&limit=1`);
    expect(page.body).toMatchObject({ data: [{ correct: 0.5, margin: 0, probability: 0.5 }] });
  });

  it("by mean log-probabilities may be another, on a board of its own", async () => {
    const longer = {
      chosen: { teacher: -9, student: -7, tokens: 10 },
      rejected: { teacher: -2, student: -1, tokens: 2 },
    };
    const summed = await evaluated({ ...body, student: "c" }, () => longer);
    const normalized = await evaluated({ ...body, student: "c", length_normalize: true }, () => longer);
    expect([summed, normalized].map((of) => of.metrics!.accuracy!.mean)).toEqual([100, 0]);
    expect(normalized.note).toMatch(/heuristic/);
    const lengths = await board("kind=accuracy&dataset=pairs&length_normalize=true");
    expect(lengths.data.map((entry) => entry.evaluation)).toEqual([normalized.id]);
  });

  it("ranks students across teachers and betas, with paired tests and groups", async () => {
    const other = await evaluated({ ...body, teacher: "other-teacher", beta: 2 }, (i) => (i < 28 ? 2 : -2));
    const found = await board("kind=accuracy&dataset=pairs");
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
    const refused = await ask(project, "GET", "/v1/preference-leaderboard?kind=accuracy&dataset=pairs&beta=2");
    expect(refused).toMatchObject({ status: 400, body: { error: { param: "beta" } } });
  });

  it("needs rejected responses, and two models that read alike", async () => {
    expect(await post({ ...body, dataset: "prompts" })).toMatchObject({
      status: 400,
      body: { error: { param: "dataset", message: expect.stringMatching(/row test-0 has no rejected/) } },
    });
    await project.model("foreign", { tokenizer_digest: hash("another") });
    expect(await post({ ...body, student: "foreign" })).toMatchObject({
      status: 400,
      body: { error: { code: "tokenizer_mismatch" } },
    });
    expect((await post({ ...body, student: "nobody" })).status).toBe(404);
    expect((await post({ ...body, colour: "red" })).body).toMatchObject({ error: { param: "colour" } });
  });
});

describe("closeness to a teacher", () => {
  const generation = { max_new_tokens: 8 };
  const body = { teacher: "teacher", dataset: "prompts", generation };
  const query = `kind=closeness&dataset=prompts&teacher=teacher&generation=${encodeURIComponent(JSON.stringify(generation))}`;
  const logit = (p: number) => Math.log(p / (1 - p));
  /** The student's output is preferred with this probability. */
  const preferred = (p: number) => margin(-logit(p) / 0.1);

  it("is the mean probability that the student's own output is preferred", async () => {
    const evaluation = await evaluated({ ...body, student: "a" }, (i) => preferred(i % 2 === 0 ? 0.6 : 0.8));
    expect(evaluation).toMatchObject({ kind: "closeness", metrics: { accuracy: null }, generation });
    expect(evaluation.metrics!.student_preferred!.mean).toBeCloseTo(70, 9);
    expect(evaluation.note).toMatch(/closeness to that teacher, not quality/);
    const page = await ask(project, "GET", `${BASE}/${evaluation.id}/records?limit=1`);
    const [record] = PreferenceRecordList.parse(page.body).data;
    expect(record).toMatchObject({
      seed: 10,
      chosen: { response: "teacher on test-0", finish_reason: "stop" },
      rejected: { response: "student on test-0" },
      correct: null,
    });
    expect(record!.probability).toBeCloseTo(0.4, 9);
  });

  it("ranks by Bradley-Terry, the teacher at 0, the closest first", async () => {
    await evaluated({ ...body, student: "b" }, (i) => preferred(i % 4 === 0 ? 0.45 : 0.55));
    const found = await board(query);
    expect(found).toMatchObject({ teacher, beta: 0.1, kind: "closeness", generation });
    expect(found.note).toMatch(/closeness to that teacher, not quality/);
    expect(found.data.map(({ student_name, rank, group }) => [student_name, rank, group])).toEqual([["b", 1, 1], ["a", 2, 2]]); // prettier-ignore
    const [b, a] = found.data;
    expect(b!.mean).toBeCloseTo(52.5, 9);
    expect(b!.strength!.value).toBeCloseTo(logit(0.525), 9);
    expect(a!.strength!.value).toBeCloseTo(logit(0.7), 9);
    for (const { strength, low, high } of found.data) {
      expect(strength!.low).toBeCloseTo(logit(low / 100), 9);
      expect(strength!.high).toBeCloseTo(logit(high / 100), 9);
    }
    // A sample of 0.6 and 0.8 by halves: sd 0.1, so 0.7 -+ 1.96 * 0.1 / sqrt(40).
    expect(a!.low).toBeCloseTo(100 * (0.7 - 0.031), 0);
    expect(a!.high).toBeCloseTo(100 * (0.7 + 0.031), 0);
    expect(a!.p_vs_best).toBeLessThan(0.001);
  });

  it("has no finite strength where every comparison is won", async () => {
    const certain = await evaluated({ ...body, student: "c" }, () => margin(-1000));
    expect(certain.metrics!.student_preferred).toMatchObject({ mean: 100, low: 100, high: 100 });
    const last = (await board(query)).data.at(-1)!;
    expect(last).toMatchObject({ student_name: "c", rank: 3, strength: { value: null, low: null, high: null } });
  });

  it("takes the mean over seeds; another beta, teacher or generation is another board", async () => {
    const seeds = { ...generation, temperature: 1, seeds: [1, 2] };
    const asked = { ...body, student: "a", generation: seeds, limit: 5 };
    const evaluation = await evaluated(asked, (_, seed) => preferred(seed === 1 ? 0.5 : 0.7));
    expect(evaluation).toMatchObject({ n: 5, done: 10 });
    expect(evaluation.metrics!.student_preferred).toMatchObject({ n: 5 });
    expect(evaluation.metrics!.student_preferred!.mean).toBeCloseTo(60, 9);
    const of = (json: object) => `generation=${encodeURIComponent(JSON.stringify(json))}`;
    const near = `kind=closeness&dataset=prompts&teacher=teacher&limit=5`;
    expect((await board(`${near}&${of(seeds)}`)).data).toHaveLength(1);
    expect((await board(`${near}&${of(generation)}`)).data).toEqual([]);
    expect((await board(`${query}&beta=0.2`)).data).toEqual([]);
    expect((await board(query.replace("teacher=teacher", "teacher=other-teacher"))).data).toEqual([]);
    for (const [wrong, param] of [
      ["", "teacher"],
      ["&teacher=teacher&generation=x", "generation"],
    ]) {
      const refused = await ask(project, "GET", `/v1/preference-leaderboard?kind=closeness&dataset=prompts${wrong}`);
      expect(refused).toMatchObject({ status: 400, body: { error: { param } } });
    }
    const twice = await post({ ...body, student: "a", generation: { seeds: [1, 1] } });
    expect(twice).toMatchObject({ status: 400, body: { error: { param: "generation.seeds" } } });
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
    expect((await ask(project, "GET", `${BASE}/${id}`)).status).toBe(404);
    expect((await ask(project, "GET", `${BASE}/${id}/records`)).status).toBe(404);
    expect((await ask(busy, "GET", `/v1/evaluations/${id.replace("pe_", "ev_")}`)).status).toBe(404);
    const gone = await ask(busy, "DELETE", `${BASE}/${id}`);
    expect(gone.body).toEqual({ id, object: "preference_evaluation", deleted: true });
    expect((await ask(busy, "GET", `${BASE}/${id}`)).status).toBe(404);
  });

  it("deletion takes records and comparisons with it, and the board forgets", async () => {
    const before = await board("kind=accuracy&dataset=pairs");
    const id = before.data[0]!.evaluation;
    expect((await ask(project, "DELETE", `${BASE}/${id}`)).status).toBe(200);
    expect((await ask(project, "GET", `${BASE}/${id}/records`)).status).toBe(404);
    expect((await board("kind=accuracy&dataset=pairs")).data.map((entry) => entry.evaluation)).not.toContain(id);
  });

  it("what it uses stays while it is there; with the project's retention it goes before them", async () => {
    const admin = await project.key("admin");
    for (const path of ["models/teacher", "models/b", "datasets/pairs"]) {
      const refused = await call(admin, "DELETE", `/v1/${path}`);
      expect([path, refused.status, refused.body.error.code]).toEqual([path, 409, "in_use"]);
    }
    await project.db.update(projects).set({ retentionDays: 1 }).where(eq(projects.id, project.id));
    await sweep(env, Date.now() + 2 * 24 * 60 * 60 * 1000);
    expect((await ask(project, "GET", BASE)).body).toMatchObject({ data: [] });
    expect((await call(admin, "GET", "/v1/datasets/pairs/rows")).status).toBe(404);
    expect((await call(admin, "DELETE", "/v1/models/teacher")).status).toBe(200);
  });
});
