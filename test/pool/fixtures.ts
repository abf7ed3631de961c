// What is asked of the pool, and what workers answer, in its smallest form.
import { env } from "cloudflare:workers";
import type { SubmitEvaluation, SubmitJob, SubmitRun, TakeStepsRequest } from "../../src/pool/api.ts";
import type { Provenance } from "../../src/wire/evaluations.ts";
import type { ModelRef } from "../../src/wire/models.ts";
import type { ScorePayload } from "../../src/wire/payloads.ts";
import type { Fingerprint, Lease } from "../../src/wire/pool.ts";
import { CreateRun } from "../../src/wire/runs.ts";
import type { StepMetrics, StoredState } from "../../src/wire/runs.ts";
import type { SamplesRef } from "../../src/wire/samples.ts";

export const PROJECT = "proj_a";
export const sha = (label: string | number): string =>
  Array.from(String(label))
    .map((c) => c.charCodeAt(0).toString(16).padStart(2, "0"))
    .join("")
    .padStart(64, "0")
    .slice(-64);

export const stepHash = (n: number, salt = ""): string => sha(`step ${n}${salt}`);
export const stepPrev = (n: number): string => (n === 1 ? sha("genesis") : stepHash(n - 1));

let counter = 0;
export const unique = (prefix: string): string =>
  `${prefix}_${(counter += 1)}x${Math.random().toString(36).slice(2, 8)}`;

export function fingerprint(name = "f1", engine = 0): Fingerprint {
  const rest = { torch: "2.13.0", device: "cpu", cpu_capability: "AVX2", math: "mkl", threads: 2, world_size: 1 };
  return { ...rest, attention: "sdpa", compile: "none", engine, digest: sha(name) };
}

export function model(name = "tiny"): ModelRef {
  return { model: `model_${name}`, base: { type: "local", name }, layer_indices: null, weights_digest: null };
}

export function scorePayload(name = "tiny"): ScorePayload {
  const items = [{ prompt: "hello", responses: ["a"] }];
  return { kind: "score", teacher: model(name), student: model(name), template: "chat", items };
}

export function scoreJob(changes: Partial<SubmitJob> = {}): SubmitJob {
  const id = unique("job");
  const base = {
    id,
    project: PROJECT,
    digest: sha(id),
    subject: null,
    request: JSON.stringify({ ask: id }),
    artifact: null,
    cost: 10,
  };
  return { ...base, payload: scorePayload(), ...changes };
}

/** Of the one response of `scorePayload`. */
export const scoreOutput = {
  kind: "score" as const,
  items: [
    [
      {
        token_ids: [1, 2, 3, 4, 5, 6, 7],
        token_texts: ["a", "b", "c", "d", "e", "f", "g"],
        teacher_logprobs: [-1, -1, -1, -1, -1, -1, 0],
        student_logprobs: [-2, -2, -2, -2, -2, -2, 0],
      },
    ],
  ],
  tokens: 7,
  teacher_cache: { hits: 0, misses: 0 },
};

export function runSubmit(
  changes: { total?: number; every?: number | null; evaluate?: number; id?: string; project?: string } = {},
): SubmitRun {
  const id = changes.id ?? unique("run");
  const project = changes.project ?? PROJECT;
  const checkpoint_every = changes.every ?? null;
  const request = CreateRun.parse({
    name: "r",
    teacher: "teacher",
    student: { model: "tiny" },
    dataset: "d",
    objective: { type: "dpkd" },
    optimizer: { total_steps: changes.total ?? 10 },
    checkpoint_every,
    evaluation: changes.evaluate === undefined ? null : { every: changes.evaluate, dataset: "d" },
  });
  const data = {
    dataset: "ds_1",
    split: "train",
    rows: 4,
    blob: { key: `${project}/ds_1/1/${sha("data")}`, bytes: 3, sha256: sha("data") },
  };
  const resolved = { teacher: model(), student: model(), data, plain_text: null, reward_model: null };
  const { objective, optimizer, responses, teacher_sampling, template, max_prompt_length, max_length } = request;
  const { batch_size, dtype, lora, gradient_checkpointing, seed, metrics_every } = request;
  const method = { objective, optimizer, responses, teacher_sampling, template, max_prompt_length, max_length };
  const how = { batch_size, dtype, lora, gradient_checkpointing, seed, metrics_every, checkpoint_every };
  return { id, project, digest: sha(id), request, spec: { ...resolved, ...method, ...how } };
}

export function steps(
  run: string,
  ask: TakeStepsRequest["ask"],
  changes: Partial<TakeStepsRequest> = {},
): TakeStepsRequest {
  const job = unique("job");
  return { job, project: PROJECT, run, digest: sha(job), ask, ...changes };
}

/** Of an evaluation whose model and data do not matter. */
export const provenance = (): Provenance => ({
  weights_digest: sha("weights"),
  tokenizer_digest: sha("tokenizer"),
  template_digest: sha("template"),
  dataset_sha256: sha("data set"),
  split_sha256: sha("split"),
  graders: "none/0",
});

export function evaluationSubmit(sizes: number[], changes: Partial<SubmitEvaluation> = {}): SubmitEvaluation {
  const id = unique("ev");
  const generation = { max_new_tokens: 8, temperature: 0, top_p: 1, top_k: 0, stop: [], seeds: [10] };
  const batches = sizes.map((size, batch) => ({
    batch,
    items: Array.from({ length: size }, (_, index) => ({ item: `row-${batch}-${index}`, seed: 10, prompt: "hi" })),
  }));
  const n = sizes.reduce((sum, size) => sum + size, 0);
  const job = unique("job");
  return {
    id,
    job,
    project: PROJECT,
    digest: sha(id),
    identity: null,
    evaluation: {
      id,
      object: "evaluation",
      created_at: new Date().toISOString(),
      status: "queued",
      model: "model_tiny",
      model_name: null,
      dataset: "ds_1",
      split: "test",
      template: "chat",
      generation,
      limit: null,
      pattern: null,
      n,
      done: 0,
      metrics: null,
      provenance: provenance(),
      job,
      error: null,
    },
    payload: { kind: "generate", evaluation: id, model: model(), template: "chat", generation, artifact: null },
    batches,
    cost: 100,
    ...changes,
  };
}

/** Of pairs that are given, or (`generated`) of what the two models answer. */
export function preferenceSubmit(sizes: number[], generated = false): SubmitEvaluation {
  const base = evaluationSubmit(sizes);
  const id = unique("pe");
  const generation = generated
    ? { max_new_tokens: 8, temperature: 0, top_p: 1, top_k: 0, stop: [], seeds: [10] }
    : null;
  const pair = generated ? null : { chosen: "yes", rejected: "no" };
  const digests = { weights_digest: sha("weights"), tokenizer_digest: sha("tokens"), template_digest: sha("template") };
  const { created_at, status, dataset, split, limit, n, done, job, error } = base.evaluation;
  return {
    ...base,
    id,
    evaluation: {
      id,
      object: "preference_evaluation",
      created_at,
      status,
      kind: generated ? "closeness" : "accuracy",
      student: "model_tiny",
      student_name: null,
      teacher: "model_tiny",
      teacher_name: null,
      dataset,
      split,
      template: "chat",
      beta: 0.1,
      length_normalize: false,
      generation,
      limit,
      n,
      done,
      metrics: null,
      provenance: { student: digests, teacher: digests, dataset_sha256: sha("data set"), split_sha256: sha("split") },
      job,
      error,
      note: "",
    },
    payload: { kind: "prefer", evaluation: id, teacher: model(), student: model(), template: "chat", generation },
    batches: base.batches.map(({ batch, items }) => ({
      batch,
      items: items.map(({ item, seed, prompt }) => ({ item, seed, prompt, pair })),
    })),
  };
}

export const metrics = (seconds = 0.5): StepMetrics => ({
  loss: 1,
  "loss/lm": null,
  "loss/distill": null,
  "loss/plain_text": null,
  "margin/token_mean": null,
  argmax_agreement: null,
  "rewards/chosen": null,
  "rewards/rejected": null,
  "rewards/margins": null,
  "rewards/accuracies": null,
  "reward/mean": null,
  "kl/forward": null,
  "kl/reverse": null,
  "entropy/teacher": null,
  "entropy/student": null,
  grad_norm: 1,
  learning_rate: 1e-4,
  tokens: 5,
  tokens_per_second: 10,
  seconds,
  phases: { data: 0, teacher: 0, forward: 0.2, backward: 0.2, optimizer: 0.1, upload: 0 },
  teacher_cache: { hits: 4, misses: 0 },
  memory_bytes: 1000,
});

/** The samples' blob as a worker's upload leaves it, and the reference. */
export async function draw(
  lease: Lease,
  run: string,
  n: number,
  changes: { source?: SamplesRef["source"]; label?: string } = {},
): Promise<SamplesRef> {
  const source = changes.source ?? "student";
  const sha256 = sha(`${run.slice(-6)} ${source[0] ?? ""}${n}${changes.label ?? ""}`);
  const blob = { key: `${lease.project}/${run}/${lease.fence}/${sha256}`, bytes: 4, sha256 };
  await env.BLOBS.put(blob.key, "data");
  return { source, n, blob };
}

/** Puts the bytes into R2 as a worker's upload would, and names them. */
export async function upload(lease: Lease, run: string, step: number, label = ""): Promise<StoredState> {
  const sha256 = sha(`${run.slice(-6)} ${step}${label}`);
  const key = `${lease.project}/${run}/${lease.fence}/${sha256}`;
  await env.BLOBS.put(key, "data");
  const part = { key, bytes: 4, sha256 };
  return { step, sha256, parameters: 1, files: [{ name: "model.safetensors", bytes: 4, sha256, parts: [part] }] };
}

export const result = (lease: Lease, output: unknown = scoreOutput) => ({
  type: "result" as const,
  job: lease.job,
  fence: lease.fence,
  lineage: null,
  output: output as typeof scoreOutput,
  artifact: null,
});

export const fail = (lease: Lease, retryable: boolean) => ({
  type: "fail" as const,
  job: lease.job,
  fence: lease.fence,
  lineage: null,
  code: "broken",
  detail: "it broke",
  retryable,
});
