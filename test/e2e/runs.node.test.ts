// What a run may be, through the whole stack: objectives, students and options, evaluations on the way, the best kept.
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { CreateRun } from "../../src/sdk/runs.ts";
import { collect, dataset, startHarness } from "./harness.ts";
import type { Harness } from "./harness.ts";

let harness: Harness;

beforeAll(async () => {
  harness = await startHarness();
  harness.startWorker();
  await harness.client.createModel({ name: "tiny", source: { type: "local", name: "tiny" } });
  await harness.client.uploadDataset("words", dataset(24, 12));
  await harness.client.modelReady("tiny");
});
afterAll(() => harness.stop());
afterEach(({ task }) => {
  if (task.result?.state === "fail") console.log(harness.logs());
});

const SAMPLING = { max_new_tokens: 6, refresh_every: 2 };
const BASE: CreateRun = {
  name: "run",
  teacher: "tiny",
  student: { prune: { model: "tiny", keep_layers: 2 } },
  dataset: "words",
  objective: { type: "dpkd" },
  optimizer: { learning_rate: 2e-3, total_steps: 4 },
  batch_size: 4,
};

const KINDS: Record<string, Partial<CreateRun>> = {
  seqkd: { objective: { type: "seqkd" } },
  minillm: { objective: { type: "minillm", sampling: SAMPLING } },
  "reward-kl": { objective: { type: "reward_kl", reward: { grader: "exact_match" }, sampling: SAMPLING } },
  jsd: { objective: { type: "jsd", on_policy_fraction: 0.5, sampling: SAMPLING } },
  "teacher-answers": { responses: "teacher", teacher_sampling: { max_new_tokens: 6 } },
  "plain-text": { lm_coef: 0.5, lm_dataset: "words" },
  "given-layers": { student: { prune: { model: "tiny", layers: [0, 3] } } },
  init: {
    student: {
      init: {
        tokenizer: "tiny",
        config: {
          hidden_size: 32,
          intermediate_size: 64,
          num_hidden_layers: 2,
          num_attention_heads: 4,
          num_key_value_heads: 2,
          max_position_embeddings: 512,
        },
      },
    },
  },
  lora: { lora: { rank: 4, alpha: 8 } },
  "bf16-8bit": {
    dtype: "bfloat16",
    gradient_checkpointing: true,
    optimizer: { type: "adamw_8bit", learning_rate: 2e-3, total_steps: 4 },
  },
};

test.each(Object.entries(KINDS))(
  "%s: trains, and its checkpoint answers",
  async (name, change) => {
    const { client } = harness;
    const run = await client.runs.create({ ...BASE, ...change, name });
    const done = await (await client.runs.takeSteps(run.id, { to: 4 })).finished();
    expect(done).toMatchObject({ status: "completed", head: 4, error: null });
    const steps = await collect(client.runs.steps(run.id));
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
    for (const { metrics } of steps) expect(metrics.grad_norm).toBeGreaterThan(0);
    const scores = await client.scores({ teacher: "tiny", student: `${run.id}@4`, prompt: "Say", responses: ["red"] });
    expect(scores.data[0]?.student_logprob).toBeLessThan(0);
  },
  60_000,
);

test("a run is evaluated on its way, and its best checkpoint is a model", async () => {
  const { client } = harness;
  const run = await client.runs.create({
    ...BASE,
    name: "watched",
    optimizer: { learning_rate: 2e-3, total_steps: 6 },
    evaluation: { every: 2, dataset: "words", split: "test", metric: "rouge_l", generation: { max_new_tokens: 6 } },
  });
  await (await client.runs.takeSteps(run.id, { to: 6 })).finished();
  const checkpoints = await collect(client.runs.checkpoints(run.id));
  expect(checkpoints.map(({ step }) => step).sort()).toEqual([2, 4, 6]);
  const models = [2, 4, 6].map((step) => `${run.id}@${step}`);
  const settled = async () => {
    const all = await collect(client.evaluations.list());
    return all.filter(({ model, status }) => models.includes(model) && status === "completed");
  };
  await expect.poll(async () => (await settled()).length, { interval: 200 }).toBe(3);
  await expect.poll(async () => (await client.runs.get(run.id)).best).not.toBeNull();
  const { best } = await client.runs.get(run.id);
  const values = (await settled()).map(({ metrics }) => metrics?.rouge_l?.mean ?? -1);
  expect(best?.value).toBe(Math.max(...values));
  const asked = { prompt: "Say", responses: ["red"], teacher: "tiny" };
  const byName = await client.scores({ ...asked, student: `${run.id}@best` });
  const byStep = await client.scores({ ...asked, student: `${run.id}@${best?.step}` });
  expect(byName.data).toEqual(byStep.data);
});
