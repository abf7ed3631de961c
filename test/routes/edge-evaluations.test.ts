// Evaluations of an export: named as a model, brief and greedy, with no GPU worker.
import { beforeAll, describe, expect, it } from "vitest";
import { listJobs } from "../../src/services/jobs.ts";
import { TestProject, rows } from "../services/project.ts";
import { exportCheckpoint, runWithCheckpoint } from "./edge.ts";
import { ask } from "./method.ts";

let project: TestProject;
let model = "";

beforeAll(async () => {
  project = await TestProject.create();
  const run = await runWithCheckpoint(project);
  await exportCheckpoint(project, run, "int8");
  await project.dataset("questions", rows(3));
  model = `${run}@2:int8`;
});

const evaluate = (changes: object) =>
  ask(project, "POST", "/v1/evaluations", {
    model,
    dataset: "questions",
    generation: { max_new_tokens: 8 },
    ...changes,
  });

describe("an evaluation of an export", () => {
  it.each([
    ["sampled answers", { generation: { temperature: 1 } }, 400, "generation.temperature"],
    ["long answers", { generation: { max_new_tokens: 33 } }, 400, "generation.max_new_tokens"],
  ])("with %s is refused", async (_, changes, status, param) => {
    expect(await evaluate(changes)).toMatchObject({ status, body: { error: { param } } });
  });

  it("of a precision that was not made says how to make it", async () => {
    const { status, body } = await evaluate({ model: model.replace("int8", "int4") });
    expect(status).toBe(404);
    expect(body).toMatchObject({ error: { message: expect.stringContaining("/exports makes one") } });
  });

  it("has a name of its own beside its checkpoint's", async () => {
    const { status, body } = await evaluate({});
    expect(status).toBe(202);
    expect(body).toMatchObject({ model, n: 3, model_name: null });
    const jobs = async () => (await listJobs(project.context(), { limit: 9 })).data;
    await expect.poll(jobs).toContainEqual(expect.objectContaining({ kind: "generate_edge", workers_available: 1 }));
  });
});
