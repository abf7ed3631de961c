// Scores without a worker: from what is known, and from exports in the scorer, here a scripted one.
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ScoreAsk, ScorerApi } from "../../src/scorer/api.ts";
import { PreferenceList, ScoreList } from "../../src/wire/scores.ts";
import { TeacherScores } from "../../src/wire/teacher-scores.ts";
import { deleteDataset } from "../../src/services/dataset-registry.ts";
import { getUsage } from "../../src/services/usage.ts";
import { FakeWorker } from "../pool/fake-worker.ts";
import { TestProject, rows } from "../services/project.ts";
import { exportCheckpoint, runWithCheckpoint } from "./edge.ts";
import { ask } from "./method.ts";

/** Log-probability of a response of one token: by its length, more to the teacher. */
const value = (response: string, role: "teacher" | "student"): number =>
  -response.length - (role === "student" ? 1 : 0);
const own = (response: string, logprob: number) => ({ token_ids: [7], token_texts: [response], logprobs: [logprob] });

const SCORES = { kinds: ["score" as const], requests: 8 };

/** Answers score leases until it is closed. */
async function serve(worker: FakeWorker): Promise<void> {
  for (;;) {
    const lease = await worker.lease().catch(() => null);
    if (lease === null) return;
    const { job, fence, lineage, payload } = lease;
    if (payload?.kind !== "score") throw new Error("not a score lease");
    const same = payload.teacher.model === payload.student.model;
    const items = payload.items.map(({ responses }) =>
      responses.map((response) => ({
        token_ids: [7],
        token_texts: [response],
        teacher_logprobs: [value(response, "teacher")],
        student_logprobs: [value(response, same ? "teacher" : "student")],
      })),
    );
    const output = {
      kind: "score" as const,
      items,
      tokens: items.flat().length,
      teacher_cache: { hits: 0, misses: 1 },
    };
    await worker.ask({ type: "result", job, fence, lineage, output, artifact: null });
  }
}

const asked: ScoreAsk[] = [];
const scorer: ScorerApi = {
  score: (body) => {
    asked.push(body);
    const values = body.items.map(({ responses }) => responses.map((text) => own(text, value(text, "student") - 0.01)));
    return Promise.resolve({ ok: true, value: values });
  },
  generate: () => Promise.reject(new Error("nothing is generated here")),
};
const full: ScorerApi = {
  ...scorer,
  score: () => Promise.resolve({ ok: false, code: "too_large", message: "no room for it" }),
};

let project: TestProject;
let student = "";
let body: { teacher: string; student: string; prompt: string; responses: string[] };
const score = (changes: object, api: ScorerApi = scorer, headers: Record<string, string> = {}) =>
  ask(project, "POST", "/v1/scores", { ...body, ...changes }, headers, { SCORER: api });

beforeAll(async () => {
  project = await TestProject.create();
  const run = await runWithCheckpoint(project);
  student = `${run}@2`;
  body = { teacher: "teacher", student, prompt: "2 + 2 =", responses: ["4", "five"] };
});
beforeEach(() => {
  asked.length = 0;
});

describe("what a worker has computed", () => {
  it("is known afterwards: the same numbers, and no worker", async () => {
    const worker = await FakeWorker.connect(project.pool, SCORES);
    void serve(worker);
    const first = ScoreList.parse((await score({})).body);
    expect(first.computed_by).toBe("pool");
    worker.close();
    await expect.poll(async () => (await score({ compute: "edge" })).status).toBe(200);
    const again = ScoreList.parse((await score({ beta: 0.1 })).body);
    expect(again).toMatchObject({ computed_by: "edge", teacher_cache: { hits: 2, misses: 0 }, note: null });
    expect(again.data).toEqual(first.data);
    expect(asked).toEqual([]);
  });

  it("serves preferences, another beta, a part of the responses", async () => {
    const one = ScoreList.parse((await score({ responses: ["five"], beta: 2, return_tokens: true })).body);
    expect(one.data[0]).toMatchObject({ implicit_reward: -2, tokens: [{ id: 7, text: "five" }] });
    const pairs = [{ prompt: body.prompt, chosen: "4", rejected: "five" }];
    const preferences = await ask(project, "POST", "/v1/preferences", { teacher: "teacher", student, pairs });
    expect(PreferenceList.parse(preferences.body)).toMatchObject({ computed_by: "edge", accuracy: 0.5 });
  });

  it.each([
    ["another prompt", { prompt: "3 + 3 =" }],
    ["another response", { responses: ["4", "six"] }],
    ["another template", { template: "raw" }],
    ["compute: pool", { compute: "pool" }],
  ])("is not used for %s", async (_, changes) => {
    expect((await score(changes, scorer, { prefer: "wait=0" })).status).toBe(202);
  });

  it("is not another project's", async () => {
    const other = await TestProject.create();
    await other.model("teacher");
    const same = { ...body, student: "teacher", compute: "edge" };
    expect((await ask(other, "POST", "/v1/scores", same)).status).toBe(409);
  });
});

describe("an export", () => {
  it("is missing: compute edge says what to do", async () => {
    const { status, body: answer } = await score({ prompt: "new", compute: "edge" });
    expect(status).toBe(409);
    expect(answer).toMatchObject({
      error: { code: "edge_unavailable", param: "compute", message: expect.stringContaining("/v1/teacher-scores") },
    });
  });

  it("computes the student's numbers where the teacher's are known, once", async () => {
    const run = student.split("@")[0]!;
    await exportCheckpoint(project, run, "int8");
    const worker = await FakeWorker.connect(project.pool, SCORES);
    void serve(worker);
    const prompt = "what is known of the teacher alone";
    await score({ prompt, student: "teacher" });
    worker.close();
    await expect.poll(async () => (await score({ prompt, student: "teacher", compute: "edge" })).status).toBe(200);
    const list = ScoreList.parse((await score({ prompt })).body);
    expect(list.computed_by).toBe("edge");
    expect(list.note).toMatch(/student_logprob is by its int8 export, on average 0.10 nats/);
    expect(list.data.map(({ student_logprob }) => student_logprob)).toEqual([-2.01, -5.01]);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ template: "chat", maxLength: 2048, artifact: { model: { precision: "int8" } } });
    expect(ScoreList.parse((await score({ prompt })).body).data).toEqual(list.data);
    expect(asked).toHaveLength(1);
  });

  it("of both models: a small pair needs no worker at all", async () => {
    const list = ScoreList.parse((await score({ prompt: "never seen", teacher: student })).body);
    expect(list).toMatchObject({ computed_by: "edge", teacher_cache: { hits: 0, misses: 2 } });
    expect(list.data.map(({ implicit_reward }) => implicit_reward)).toEqual([0, 0]);
  });

  it("has the tokens that it reads counted as used, once", async () => {
    const other = await TestProject.create();
    const run = await runWithCheckpoint(other);
    await exportCheckpoint(other, run, "int8");
    const sent = { teacher: `${run}@2`, student: `${run}@2`, prompt: "counted", responses: ["a", "b", "c"] };
    for (const beta of [1, 2]) {
      const { body } = await ask(other, "POST", "/v1/scores", { ...sent, beta }, {}, { SCORER: scorer });
      expect(ScoreList.parse(body).computed_by).toBe("edge");
    }
    expect(asked).toHaveLength(2);
    const used = async (): Promise<unknown[]> => (await getUsage(other.context(), 2)).data;
    await expect.poll(used).toMatchObject([{ tokens_scored: 3 }]);
  });

  it("that the scorer has no room for: auto asks a worker, edge is a 413", async () => {
    const ask = { prompt: "too long", teacher: student };
    expect((await score(ask, full, { prefer: "wait=0" })).status).toBe(202);
    expect(await score({ ...ask, compute: "edge" }, full)).toMatchObject({
      status: 413,
      body: { error: { code: "too_large", message: "no room for it" } },
    });
  });

  it("whose tokenizer the scorer does not read: auto asks a worker", async () => {
    const unread: ScorerApi = {
      ...scorer,
      score: () => Promise.resolve({ ok: false, code: "invalid_request", message: "not read alike at the edge" }),
    };
    const sent = { prompt: "in another script", teacher: student };
    expect((await score(sent, unread, { prefer: "wait=0" })).status).toBe(202);
    expect((await score({ ...sent, compute: "edge" }, unread)).status).toBe(400);
  });

  it("that would be slower than a worker is left to one under auto, where one is connected", async () => {
    const long = { prompt: "x".repeat(8000), teacher: student };
    const worker = await FakeWorker.connect(project.pool, SCORES);
    expect((await score(long, scorer, { prefer: "wait=0" })).status).toBe(202);
    expect(asked).toEqual([]);
    worker.close();
    const alone = { ...long, prompt: "y".repeat(8000) };
    await expect.poll(async () => (await score(alone, scorer, { prefer: "wait=0" })).status).toBe(200);
    expect(asked).not.toEqual([]);
  });
});

describe("a teacher's scores of a data set", () => {
  const request = { teacher: "teacher", dataset: "short" };
  it("are computed by jobs, and then known", async () => {
    const first = await ask(project, "POST", "/v1/teacher-scores", request);
    expect(first.status).toBe(202);
    const { jobs, responses, known } = TeacherScores.parse(first.body);
    expect({ jobs: jobs.length, responses, known }).toEqual({ jobs: 1, responses: 20, known: 0 });
    // Asked again while it is under way, it is the same job.
    expect(TeacherScores.parse((await ask(project, "POST", "/v1/teacher-scores", request)).body).jobs).toEqual(jobs);
    const worker = await FakeWorker.connect(project.pool, SCORES);
    void serve(worker);
    await expect.poll(async () => (await ask(project, "POST", "/v1/teacher-scores", request)).status).toBe(200);
    worker.close();
    const [row] = rows(1, "train");
    const list = await score({ prompt: row!.prompt, responses: [row!.response], compute: "edge" });
    expect(ScoreList.parse(list.body)).toMatchObject({ teacher_cache: { hits: 1 }, computed_by: "edge" });
    const answer = await ask(project, "GET", `/v1/jobs/${jobs[0]!.id}`);
    expect([200, 404]).toContain(answer.status);
  });

  it("go with the data set", async () => {
    expect((await score({ compute: "edge" })).status).toBe(200);
    await deleteDataset(project.context(), await project.dataset("extra", rows(1, "test")));
    expect((await score({ compute: "edge" })).status).toBe(409);
  });
});

it("prompts alone are no work for the edge", async () => {
  const sent = { teacher: "teacher", student, prompts: ["a"], compute: "edge" };
  expect(await ask(project, "POST", "/v1/preferences", sent)).toMatchObject({
    status: 400,
    body: { error: { param: "compute" } },
  });
});
