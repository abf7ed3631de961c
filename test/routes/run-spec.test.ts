// What a run may ask for, and what its worker is given: every rule through the public door.
import { beforeAll, describe, expect, it } from "vitest";
import type { RunSpec } from "../../src/wire/runs.ts";
import { Run, RunList } from "../../src/wire/runs.ts";
import { FakeWorker } from "../pool/fake-worker.ts";
import { TestProject, hash, rows } from "../services/project.ts";
import { call } from "./harness.ts";
import { ask } from "./method.ts";

const config = {
  hidden_size: 48,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 1024,
};
const body = {
  name: "distil",
  teacher: "teacher",
  student: { prune: { model: "teacher", keep_layers: 3 } },
  dataset: "short",
  objective: { type: "dpkd" },
  optimizer: { total_steps: 4 },
};

let project: TestProject;
beforeAll(async () => {
  project = await TestProject.create();
  await project.dataset("short", [...rows(20, "train"), ...rows(10, "validation")]);
  await project.dataset("pairs", rows(20, "train"), "prompt_chosen_rejected");
  await project.dataset("text", rows(5, "train"));
  await project.model("teacher");
  await project.model("cut", { layers: 3, layer_indices: [0, 15, 29] });
  await project.model("stranger", { tokenizer_digest: hash("another") });
});

const create = (changes: object) => ask(project, "POST", "/v1/runs", { ...body, ...changes });

/** The specification that a worker is leased for the run's first step. */
async function specOf(changes: object): Promise<{ run: Run; spec: RunSpec }> {
  const answer = await create(changes);
  expect(answer).toMatchObject({ status: 200 });
  const run = Run.parse(answer.body);
  const worker = await FakeWorker.connect(project.pool);
  await ask(project, "POST", `/v1/runs/${run.id}/steps`, { to: 1 });
  const { payload } = await worker.lease();
  await ask(project, "POST", `/v1/runs/${run.id}/cancel`);
  worker.close();
  if (payload?.kind !== "train") throw new Error("not a train lease");
  return { run, spec: payload.spec };
}

const dpkd = (fields: object) => ({ objective: { type: "dpkd", ...fields } });
const sequence = (fields: object) => dpkd({ granularity: "sequence", ...fields });
const init = (fields: object, tokenizer = "teacher") => ({
  student: { init: { config: { ...config, ...fields }, tokenizer } },
});
const evaluation = (fields: object) => ({ evaluation: { every: 2, dataset: "short", ...fields } });

describe("refuses, naming the field and saying what to do:", () => {
  it.each<[string, object, string, RegExp]>([
    ["ipo over tokens", dpkd({ variant: "ipo" }), "objective.variant", /granularity to "sequence"/],
    ["simpo over tokens", dpkd({ variant: "simpo" }), "objective.variant", /granularity to "sequence"/],
    ["mean log-probabilities of a token", dpkd({ length_normalize: true }), "objective.length_normalize", /"sequence"/],
    ["the data's pairs over tokens", { dataset: "pairs", ...dpkd({ pairs: "data" }) }, "objective.pairs", /"sequence"/],
    ["pairs of a data set that has none", sequence({ pairs: "data" }), "objective.pairs", /chosen and rejected/],
    ["lambda without dpop", dpkd({ lambda: 5 }), "objective.lambda", /"dpop"/],
    ["gamma without simpo", sequence({ gamma: 2 }), "objective.gamma", /"simpo"/],
    ["a smoothed ipo", sequence({ variant: "ipo", label_smoothing: 0.1 }), "objective.label_smoothing", /leave it out/],
    ["dpop without a reference", dpkd({ variant: "dpop", reference_free: true }), "objective.reference_free", /dpop/],
    [
      "no teacher at the token level",
      { teacher: null, ...dpkd({ reference_free: true }) },
      "teacher",
      /dpkd needs one/,
    ],
    [
      "no teacher for its answers",
      { teacher: null, objective: { type: "sft" }, responses: "teacher" },
      "teacher",
      /one/,
    ],
    ["no teacher for seqkd", { teacher: null, objective: { type: "seqkd" } }, "teacher", /seqkd needs one/],
    ["the teacher's answers twice", { objective: { type: "seqkd" }, responses: "teacher" }, "responses", /"data"/],
    ["a weight without plain text", { lm_coef: 0.5 }, "lm_dataset", /name the data set/],
    ["plain text without a weight", { lm_dataset: "text" }, "lm_coef", /how much/],
    ["adapters of random weights", { lora: {}, ...init({}) }, "lora", /leave it out/],
    [
      "samples as long as all",
      sequence({ sampling: { max_new_tokens: 512 } }),
      "objective.sampling.max_new_tokens",
      /below max_length \(512\)/,
    ],
    [
      "on-policy answers as long as all",
      { objective: { type: "jsd", on_policy_fraction: 0.1, sampling: { max_new_tokens: 600 } } },
      "objective.sampling.max_new_tokens",
      /512/,
    ],
    [
      "teacher's answers as long as all",
      { responses: "teacher", teacher_sampling: { max_new_tokens: 512 } },
      "teacher_sampling.max_new_tokens",
      /512/,
    ],
    ["a reward of another tokenizer", reward("stranger"), "objective.reward.implicit", /different tokenizers/],
    ["evaluations after the end", evaluation({ every: 5 }), "evaluation.every", /total_steps \(4\)/],
    [
      "regex_match without a pattern",
      evaluation({ metric: "regex_match" }),
      "evaluation.pattern",
      /regex_match needs one/,
    ],
    ["a pattern that does not parse", evaluation({ pattern: "(" }), "evaluation.pattern", /RE2's syntax/],
    [
      "a seed twice in its evaluations",
      evaluation({ generation: { seeds: [1, 1] } }),
      "evaluation.generation.seeds",
      /once/,
    ],
    [
      "layers out of order",
      { student: { prune: { model: "teacher", layers: [2, 1] } } },
      "student.prune.layers",
      /increasing/,
    ],
    [
      "a layer twice",
      { student: { prune: { model: "teacher", layers: [1, 1] } } },
      "student.prune.layers",
      /each once/,
    ],
    [
      "layers that are not there",
      { student: { prune: { model: "cut", layers: [0, 3] } } },
      "student.prune.layers",
      /from 0 to 2/,
    ],
    ["heads of unequal size", init({ hidden_size: 50 }), "student.init.config.hidden_size", /multiple of.* \(8\)/],
    [
      "odd heads, which cannot turn in pairs",
      init({ hidden_size: 12, num_key_value_heads: 4 }),
      "student.init.config.hidden_size",
      /\(8\)/,
    ],
    [
      "queries that no key head has",
      init({ num_key_value_heads: 3 }),
      "student.init.config.num_key_value_heads",
      /divisor/,
    ],
    ["another tokenizer than the teacher's", init({}, "stranger"), "student", /different tokenizers/],
    ["a context beyond the student's own", init({ max_position_embeddings: 256 }), "max_length", /256/],
  ])("%s", async (_, changes, param, message) => {
    expect(await create(changes)).toMatchObject({
      status: 400,
      body: { error: { param, message: expect.stringMatching(message) } },
    });
  });

  it.each<[string, object, string]>([
    ["a data set of plain text", { lm_coef: 1, lm_dataset: "none" }, "lm_dataset"],
    ["a split of plain text", { lm_coef: 1, lm_dataset: "text", lm_split: "dev" }, "lm_split"],
    ["an evaluation's data set", evaluation({ dataset: "none" }), "evaluation.dataset"],
    ["an evaluation's split", evaluation({ split: "dev" }), "evaluation.split"],
    ["a reward's checkpoint", reward("run_none@3"), "objective.reward.implicit"],
    ["a tokenizer's model", init({}, "none"), "student.init.tokenizer"],
    ["a best checkpoint that is not yet chosen", { teacher: "run_none@best" }, "teacher"],
  ])("%s that is not there", async (_, changes, param) => {
    expect(await create(changes)).toMatchObject({ status: 404, body: { error: { param } } });
  });
});

function reward(implicit: string) {
  return { objective: { type: "reward_kl", reward: { implicit } } };
}

describe("gives the worker", () => {
  it("defaults for all that is not asked", async () => {
    const { spec } = await specOf({});
    expect(spec).toMatchObject({
      responses: "data",
      plain_text: null,
      reward_model: null,
      dtype: "float32",
      lora: null,
      gradient_checkpointing: false,
      metrics_every: 25,
      teacher_sampling: { temperature: 0, top_p: 1, max_new_tokens: 128 },
    });
  });

  it("all that is asked", async () => {
    const how = { dtype: "bfloat16", lora: { rank: 4 }, gradient_checkpointing: true, metrics_every: 7 };
    const asked = { responses: "teacher", teacher_sampling: { temperature: 1 }, lm_coef: 0.5, lm_dataset: "text" };
    const { run, spec } = await specOf({ ...how, ...asked });
    expect(spec).toMatchObject({
      ...how,
      lora: { rank: 4, alpha: 32, targets: ["all-linear"] },
      responses: "teacher",
      teacher_sampling: { temperature: 1 },
      plain_text: { coef: 0.5, data: { split: "train", rows: 5 } },
    });
    expect(run).toMatchObject({ ...how, lora: { rank: 4 }, ...asked, teacher_sampling: { temperature: 1 } });
  });

  it("the model of an implicit reward", async () => {
    const { spec } = await specOf(reward("cut"));
    expect(spec.reward_model).toMatchObject({ base: { type: "local", name: "tiny" } });
    expect(spec.teacher).not.toBeNull();
  });

  it.each<[string, object]>([
    ["sft", { objective: { type: "sft" } }],
    ["simpo", sequence({ variant: "simpo" })],
    ["sequences without a reference", sequence({ reference_free: true })],
  ])("no teacher for %s, whether one is named or not", async (_, changes) => {
    expect((await specOf(changes)).spec.teacher).toBeNull();
    const { run, spec } = await specOf({ teacher: null, ...changes });
    expect([run.teacher, spec.teacher]).toEqual([null, null]);
  });

  it("the teacher of sft where it answers", async () => {
    expect((await specOf({ objective: { type: "sft" }, responses: "teacher" })).spec.teacher).not.toBeNull();
  });

  it("pairs of the data", async () => {
    const { spec } = await specOf({ dataset: "pairs", ...sequence({ pairs: "data" }) });
    expect(spec.objective).toMatchObject({ pairs: "data" });
  });

  it("the layers of a student that is given ones, as the base counts them", async () => {
    const { run, spec } = await specOf({ student: { prune: { model: "cut", layers: [0, 2] } } });
    expect(spec.student.layer_indices).toEqual([0, 29]);
    expect(run.student_layers).toEqual([0, 29]);
  });

  it("a student of random weights, drawn from the run's seed", async () => {
    const { run, spec } = await specOf({ seed: 7, ...init({}, "cut") });
    const whole = { ...config, model_type: "llama", tie_word_embeddings: true };
    expect(spec.student).toEqual({
      model: run.id,
      base: { type: "init", config: whole, tokenizer: { type: "local", name: "tiny" }, seed: 7 },
      layer_indices: null,
      weights_digest: null,
    });
  });
});

describe("what a run names stays while the run does:", () => {
  it("its data sets and models, wherever they are named", async () => {
    await project.dataset("watched", rows(3, "validation"));
    await project.dataset("plain", rows(3, "train"));
    await project.model("goal");
    await project.model("words");
    const used = { lm_coef: 1, lm_dataset: "plain", ...evaluation({ dataset: "watched" }), ...reward("goal") };
    const { id } = Run.parse((await create({ ...used, ...init({}, "words") })).body);
    // What is in use is read in the record, which follows the pool.
    const listed = async () => RunList.parse((await ask(project, "GET", "/v1/runs?limit=1")).body).first_id;
    await expect.poll(listed).toBe(id);
    for (const path of ["/v1/datasets/watched", "/v1/datasets/plain", "/v1/models/goal", "/v1/models/words"]) {
      const answer = await call(project.secret, "DELETE", path);
      expect(answer.body, path).toMatchObject({ error: { code: "in_use", message: expect.stringContaining(id) } });
    }
  });
});
