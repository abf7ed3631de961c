// A run that evaluates its own checkpoints: the evaluations come by themselves, the best checkpoint has a name.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { MAX_QUEUED_JOBS } from "../../src/config.ts";
import { settle } from "../../src/services/settle.ts";
import { EvaluationList, Leaderboard } from "../../src/wire/evaluations.ts";
import type { Evaluation } from "../../src/wire/evaluations.ts";
import { Model } from "../../src/wire/models.ts";
import { Checkpoint, Run, StepList } from "../../src/wire/runs.ts";
import { FakeWorker } from "../pool/fake-worker.ts";
import { sql } from "../pool/harness.ts";
import { TestProject, hash, rows } from "../services/project.ts";
import { call } from "./harness.ts";
import { ask } from "./method.ts";
import { generate, takeStep, train } from "./training.ts";

const body = {
  name: "distil",
  teacher: "teacher",
  student: { prune: { model: "teacher", keep_layers: 3 } },
  dataset: "short",
  objective: { type: "dpkd" },
  optimizer: { total_steps: 5 },
  checkpoint_every: 1,
  evaluation: { every: 2, dataset: "short", limit: 8, generation: { max_new_tokens: 16 } },
};

async function newProject(): Promise<TestProject> {
  const made = await TestProject.create();
  await made.dataset("short", [...rows(20, "train"), ...rows(10, "validation"), ...rows(10, "test")]);
  await made.model("teacher");
  return made;
}

const create = async (project: TestProject, changes: object = {}) =>
  Run.parse((await ask(project, "POST", "/v1/runs", { ...body, ...changes })).body);
const runOf = async (project: TestProject, id: string) => Run.parse((await ask(project, "GET", `/v1/runs/${id}`)).body);
const evaluationsOf = async (project: TestProject): Promise<Evaluation[]> =>
  EvaluationList.parse((await ask(project, "GET", "/v1/evaluations?limit=100")).body).data;
const checkpointOf = async (project: TestProject, run: string, step: string) =>
  Checkpoint.parse((await ask(project, "GET", `/v1/runs/${run}/checkpoints/${step}`)).body);

/** Rightly answered items, of 8 or 10, by the step of the checkpoint. */
const RIGHT: Record<string, number> = { "2": 6, "4": 6, "5": 3 };

/** Takes leases until `evaluations` of them have been answered. */
async function serve(worker: FakeWorker, evaluations: number): Promise<void> {
  for (let answered = 0; answered < evaluations;) {
    const lease = await worker.lease();
    if (lease.payload?.kind === "train") {
      await train(worker, lease);
    } else if (lease.payload?.kind === "generate") {
      const right = RIGHT[lease.payload.model.model.split("@")[1] ?? ""] ?? 0;
      await generate(worker, lease, (item) =>
        Number(item.split("-")[1]) < right ? `answer ${item.split("-")[1]}` : "no",
      );
      answered += 1;
    }
  }
}

describe("a run with an evaluation", () => {
  let project: TestProject;
  let id = "";
  beforeAll(async () => {
    project = await newProject();
    id = (await create(project)).id;
    const worker = await FakeWorker.connect(project.pool);
    await ask(project, "POST", `/v1/runs/${id}/steps`, { to: 5 });
    await serve(worker, 3);
    worker.close();
  });

  it("evaluates every so many steps and the last, as it asked", async () => {
    await expect
      .poll(async () => (await evaluationsOf(project)).filter((e) => e.status === "completed").length)
      .toBe(3);
    const found = await evaluationsOf(project);
    expect(found.map((one) => one.model).sort()).toEqual([`${id}@2`, `${id}@4`, `${id}@5`]);
    const weights = found.map(({ model, provenance }) => [model.split("@")[1], provenance.weights_digest]);
    expect(weights).toEqual(weights.map(([step]) => [step, hash(`weights at ${step}`)]));
    expect(found[0]).toMatchObject({ split: "validation", limit: 8, n: 8, template: "chat" });
    expect(found[0]!.generation).toMatchObject({ max_new_tokens: 16 });
  });

  it("knows its best checkpoint; a tie goes to the earlier", async () => {
    const of2 = (await evaluationsOf(project)).find((one) => one.model === `${id}@2`)!;
    const best = { step: 2, lineage: 0, value: 75, evaluation: of2.id };
    await expect.poll(async () => (await runOf(project, id)).best).toEqual(best);
    const text = (await ask(project, "GET", `/v1/runs/${id}/events`)).body;
    expect(String(text)).toContain("event: best");
  });

  it("asks once, however often its checkpoint settles", async () => {
    const checkpoint = await checkpointOf(project, id, "4");
    await settle(env, { kind: "checkpoint", project: project.id, rev: 1, checkpoint });
    expect(await sql(project.pool, "SELECT id FROM evaluations")).toHaveLength(3);
  });

  it("tells its best again without change when an evaluation settles again", async () => {
    const { best } = await runOf(project, id);
    for (const evaluation of await evaluationsOf(project)) {
      await settle(env, { kind: "evaluation", project: project.id, rev: 1, evaluation });
    }
    expect((await runOf(project, id)).best).toEqual(best);
  });

  it("has `best` for a model's name: what is made of it keeps the checkpoint's own", async () => {
    const name = `${id}@best`;
    const own = `${id}@2`;
    expect((await checkpointOf(project, id, "best")).id).toBe(own);
    expect(Model.parse((await call(project.secret, "GET", `/v1/models/${name}`)).body).id).toBe(own);
    const again = { ...body.evaluation, model: name, split: "validation", every: undefined };
    const of2 = (await evaluationsOf(project)).find((one) => one.model === own)!;
    expect((await ask(project, "POST", "/v1/evaluations", again)).body).toMatchObject({ id: of2.id, model: own });
    const run = await create(project, { teacher: name, student: { model: name }, evaluation: null });
    expect(run).toMatchObject({ teacher: own, student: { model: own } });
    const cut = await create(project, {
      student: { prune: { model: name, layers: [0, 2] } },
      objective: { type: "reward_kl", reward: { implicit: name } },
    });
    expect(cut).toMatchObject({
      student: { prune: { model: own } },
      objective: { reward: { implicit: own } },
      student_layers: [0, 2],
    });
    const scores = { teacher: "teacher", student: name, prompt: "p", responses: ["a"] };
    const job = await ask(project, "POST", "/v1/scores", scores, { prefer: "wait=0" });
    const stored = await project.pool.getJob(project.id, (job.body as { id: string }).id);
    expect(JSON.parse(stored?.request ?? "null")).toMatchObject({ teacher: "teacher", student: own });
  });

  it("is marked on the board of the split that chose, and there alone", async () => {
    const board = async (query: string) =>
      Leaderboard.parse((await ask(project, "GET", `/v1/leaderboard?dataset=short&${query}`)).body).data;
    const marks = async (query: string) =>
      Object.fromEntries((await board(query)).map((entry) => [entry.model, entry.selected_on_this_split]));
    const chosen = { [`${id}@2`]: true, [`${id}@4`]: false, [`${id}@5`]: false };
    await expect.poll(() => marks("split=validation&limit=8")).toEqual(chosen);
    const worker = await FakeWorker.connect(project.pool, { kinds: ["generate"] });
    const model = `${id}@best`;
    const tested = ask(project, "POST", "/v1/evaluations", { model, dataset: "short" }, { prefer: "wait=10" });
    await serve(worker, 1);
    expect((await tested).status).toBe(200);
    expect(await marks("split=test")).toEqual({ [`${id}@2`]: false });
    worker.close();
  });

  it("has none of another project", async () => {
    const other = await newProject();
    expect((await create(other)).best).toBeNull();
    const foreign = await ask(other, "POST", "/v1/runs", { ...body, teacher: `${id}@best` });
    expect(foreign).toMatchObject({ status: 404, body: { error: { param: "teacher" } } });
    expect((await ask(other, "GET", `/v1/runs/${id}/checkpoints/best`)).status).toBe(404);
  });
});

/** Copies of one job in the pool's table: as many handed in would first have to go to the record. */
/** As if so many jobs more were unfinished. */
async function crowd(project: TestProject, jobs: number): Promise<void> {
  await sql(project.pool, "UPDATE active SET jobs = jobs + ? WHERE project = ?", jobs, project.id);
}

describe("an evaluation that", () => {
  it("fails leaves the run as it is, without a best", async () => {
    const project = await newProject();
    const { id } = await create(project, {
      optimizer: { total_steps: 1 },
      evaluation: { ...body.evaluation, every: 1 },
    });
    const worker = await FakeWorker.connect(project.pool);
    await ask(project, "POST", `/v1/runs/${id}/steps`, { to: 1 });
    await train(worker, await worker.lease());
    const { job, fence, lineage } = await worker.lease();
    await worker.ask({ type: "fail", job, fence, lineage, code: "model_invalid", detail: "no", retryable: false });
    await expect.poll(async () => (await evaluationsOf(project))[0]?.status).toBe("failed");
    expect(await runOf(project, id)).toMatchObject({ status: "completed", best: null, error: null });
    worker.close();
  });

  it("cannot be, as of a checkpoint that is gone, is left out", async () => {
    const project = await newProject();
    const { id } = await create(project);
    const checkpoint = {
      ...{ id: `${id}@2`, object: "checkpoint" as const, run: id, step: 2, lineage: 0, files: [] },
      ...{ created_at: new Date().toISOString(), sha256: "0".repeat(64) },
    };
    await settle(env, { kind: "checkpoint", project: project.id, rev: 1, checkpoint });
    expect(await evaluationsOf(project)).toEqual([]);
  });

  it("finds the queue full comes once there is room; the run's steps are listed meanwhile", async () => {
    const project = await newProject();
    const evaluation = { ...body.evaluation, every: 1 };
    const { id } = await create(project, { evaluation });
    const worker = await FakeWorker.connect(project.pool, { kinds: ["train"] });
    await ask(project, "POST", `/v1/runs/${id}/steps`, { to: 5 });
    const first = await worker.lease();
    await crowd(project, MAX_QUEUED_JOBS);
    await train(worker, first);
    await takeStep(worker, await worker.lease(), 2);
    const steps = async () => StepList.parse((await ask(project, "GET", `/v1/runs/${id}/steps`)).body).data.length;
    await expect.poll(steps).toBe(2);
    expect(await evaluationsOf(project)).toEqual([]);
    await crowd(project, -MAX_QUEUED_JOBS);
    await expect.poll(async () => (await evaluationsOf(project)).length).toBe(1);
    worker.close();
  });
});
