// A distillation run: what is asked, what the worker is given, what a step reports.
import { z } from "zod";
import { BlobRef, FileRef } from "./blobs.ts";
import { Failure, Id, ModelName, Name, Seed, Sha256, Template, Timestamp, listOf } from "./common.ts";
import { SplitRef } from "./datasets.ts";
import { Generation } from "./generation.ts";
import { InitConfig, ModelRef } from "./models.ts";

const KdRatio = z.number().min(0).max(1).default(0.5);
const Beta = z.number().gt(0).max(100);
const Temperature = z.number().min(0.01).max(100).default(1);

/** How the student answers its own prompts during training. Each block of `refresh_every` steps is sampled at once,
 * from the student as it is before the block's first step. */
export const Sampling = z
  .strictObject({
    temperature: z.number().min(0).max(10).default(1),
    top_p: z.number().gt(0).max(1).default(1),
    max_new_tokens: z.int().min(1).max(1024).default(128),
    refresh_every: z.int().min(1).max(1000).default(16),
  })
  .meta({ id: "Sampling", description: "temperature 0 is greedy" });

/** How the teacher answers, once a row, where a run trains on its answers. */
export const TeacherSampling = z
  .strictObject({
    temperature: z.number().min(0).max(10).default(0),
    top_p: z.number().gt(0).max(1).default(1),
    max_new_tokens: z.int().min(1).max(1024).default(128),
  })
  .meta({ id: "TeacherSampling", description: "temperature 0 is greedy" });

/** DPKD (arXiv 2406.19774); the formulas of each granularity and variant are in docs/method.md. */
export const DpkdObjective = z
  .strictObject({
    type: z.enum(["dpkd"]),
    granularity: z.enum(["token", "sequence"]).default("token"),
    variant: z.enum(["sigmoid", "ipo", "dpop", "simpo"]).default("sigmoid"),
    beta: z.union([Beta, z.null()]).default(null).meta({ description: "null: 0.1, and 2.0 for simpo" }),
    label_smoothing: z.number().min(0).lt(0.5).default(0),
    length_normalize: z.boolean().default(false),
    reference_free: z.boolean().default(false),
    lambda: z.number().min(0).max(1e6).default(50).meta({ description: "dpop's weight" }),
    gamma: z.number().min(0).max(1e3).default(1).meta({ description: "simpo's target margin" }),
    pairs: z.enum(["sampled", "data"]).default("sampled"),
    sampling: Sampling.prefault({}),
    kd_ratio: KdRatio,
  })
  .meta({ id: "DpkdObjective" });

export const Reward = z
  .union([
    z.strictObject({ grader: z.enum(["exact_match"]) }).meta({ id: "GraderReward" }),
    z.strictObject({ implicit: ModelName }).meta({ id: "ImplicitReward" }),
  ])
  .meta({ id: "Reward" });

/** DPKD's first stage: maximise E_q[R] - beta KL(q || p) for a given reward R. */
export const RewardKlObjective = z
  .strictObject({
    type: z.enum(["reward_kl"]),
    reward: Reward,
    beta: Beta.default(0.1),
    sampling: Sampling.prefault({}),
    kd_ratio: KdRatio,
  })
  .meta({ id: "RewardKlObjective" });

/** Cross entropy on response tokens; needs no teacher. */
export const SftObjective = z.strictObject({ type: z.enum(["sft"]) }).meta({ id: "SftObjective" });

/** Cross entropy on the teacher's own answers (arXiv 1606.07947). */
export const SeqKdObjective = z
  .strictObject({ type: z.enum(["seqkd"]), kd_ratio: z.number().min(0).max(1).default(1) })
  .meta({ id: "SeqKdObjective" });

/** MiniLLM (arXiv 2306.08543): reverse KL over sequences by policy gradient. */
export const MiniLlmObjective = z
  .strictObject({
    type: z.enum(["minillm"]),
    length_normalize: z.boolean().default(true),
    sampling: Sampling.prefault({}),
    kd_ratio: KdRatio,
  })
  .meta({ id: "MiniLlmObjective" });

/** What the divergences of two next-token distributions share: on `on_policy_fraction` of the rows the response is the
 * student's own (GKD, arXiv 2306.13649). */
const divergence = {
  temperature: Temperature,
  on_policy_fraction: z.number().min(0).max(1).default(0),
  sampling: Sampling.prefault({}),
  kd_ratio: KdRatio,
};

export const ForwardKlObjective = z
  .strictObject({ type: z.enum(["forward_kl"]), ...divergence })
  .meta({ id: "ForwardKlObjective" });

export const ReverseKlObjective = z
  .strictObject({ type: z.enum(["reverse_kl"]), ...divergence })
  .meta({ id: "ReverseKlObjective" });

/** Generalised Jensen-Shannon divergence: M = w p + (1-w) q; 0 is forward KL, 1 reverse KL. */
export const JsdObjective = z
  .strictObject({ type: z.enum(["jsd"]), interpolation: z.number().min(0).max(1).default(0.5), ...divergence })
  .meta({ id: "JsdObjective" });

/** How much of the other distribution a skew KL mixes in. */
const Skew = z.number().min(0).lt(1).default(0.1);

/** DistiLLM (arXiv 2402.03898): KL(p || a p + (1-a) q). */
export const SkewForwardKlObjective = z
  .strictObject({ type: z.enum(["skew_forward_kl"]), skew: Skew, ...divergence })
  .meta({ id: "SkewForwardKlObjective" });

/** DistiLLM (arXiv 2402.03898): KL(q || (1-a) q + a p). */
export const SkewReverseKlObjective = z
  .strictObject({ type: z.enum(["skew_reverse_kl"]), skew: Skew, ...divergence })
  .meta({ id: "SkewReverseKlObjective" });

/** Total variation distance (arXiv 2307.15190). */
export const TvdObjective = z.strictObject({ type: z.enum(["tvd"]), ...divergence }).meta({ id: "TvdObjective" });

/** Adaptive KL (arXiv 2404.02657): forward and reverse KL weighted by where the two distributions differ. */
export const AdaptiveKlObjective = z
  .strictObject({ type: z.enum(["adaptive_kl"]), head_mass: z.number().gt(0).lt(1).default(0.5), ...divergence })
  .meta({ id: "AdaptiveKlObjective" });

export const Objective = z
  .discriminatedUnion("type", [
    DpkdObjective,
    RewardKlObjective,
    SftObjective,
    SeqKdObjective,
    MiniLlmObjective,
    ForwardKlObjective,
    ReverseKlObjective,
    JsdObjective,
    SkewForwardKlObjective,
    SkewReverseKlObjective,
    TvdObjective,
    AdaptiveKlObjective,
  ])
  .meta({ id: "Objective" });

export const Optimizer = z
  .strictObject({
    type: z.enum(["adamw", "adamw_8bit"]).default("adamw"),
    learning_rate: z.number().gt(0).max(1).default(5e-4),
    min_learning_rate: z.number().min(0).max(1).default(0),
    weight_decay: z.number().min(0).max(1).default(0.01),
    betas: z.array(z.number().min(0).lt(1)).length(2).default([0.9, 0.999]),
    schedule: z.enum(["cosine", "linear", "constant"]).default("cosine"),
    warmup_steps: z.int().min(0).max(1_000_000).default(0),
    total_steps: z.int().min(1).max(1_000_000).default(300),
    grad_clip: z.number().gt(0).max(1e6).default(1),
  })
  .meta({ id: "Optimizer", description: "AdamW; weight decay on matrices only; L2 clipping after accumulation" });

const KeptLayers = z.array(z.int().min(0).max(1023)).min(1).max(1024);

export const Student = z
  .union([
    z.strictObject({ model: ModelName }).meta({ id: "StudentModel" }),
    z
      .strictObject({ prune: z.strictObject({ model: ModelName, keep_layers: z.int().min(1).max(1024) }) })
      .meta({ id: "StudentPruned" }),
    z
      .strictObject({ prune: z.strictObject({ model: ModelName, layers: KeptLayers }) })
      .meta({ id: "StudentPrunedTo", description: "layers: their indices in the model, strictly increasing" }),
    z
      .strictObject({ init: z.strictObject({ config: InitConfig, tokenizer: ModelName }) })
      .meta({ id: "StudentInit", description: "random weights, drawn from the run's seed" }),
  ])
  .meta({ id: "Student" });

export const Lora = z
  .strictObject({
    rank: z.int().min(1).max(1024).default(16),
    alpha: z.number().gt(0).max(4096).default(32),
    targets: z
      .array(z.string().regex(/^[0-9A-Za-z_.-]{1,64}$/))
      .min(1)
      .max(32)
      .default(["all-linear"]),
  })
  .meta({
    id: "Lora",
    description: "low-rank adapters (arXiv 2106.09685); targets: names of linear modules, or all-linear",
  });

/** Every `every` steps a checkpoint is made and evaluated; the best is kept as `<run>@best`. */
export const RunEvaluation = z
  .strictObject({
    every: z.int().min(1).max(1_000_000),
    dataset: z.string().max(128),
    split: Name.default("validation"),
    metric: z.enum(["exact_match", "rouge_l"]).default("exact_match"),
    limit: z.union([z.int().min(1).max(100_000), z.null()]).default(200),
    generation: Generation.prefault({}),
  })
  .meta({ id: "RunEvaluation" });

/** bfloat16: computed in it, with fp32 master weights. Log-probabilities and losses are fp32 in both. */
const Dtype = z.enum(["float32", "bfloat16"]);
const MicroBatchTokens = z.union([z.int().min(16).max(10_000_000), z.null()]);

export const CreateRun = z
  .strictObject({
    name: Name,
    teacher: z.union([ModelName, z.null()]).default(null),
    student: Student,
    dataset: z.string().max(128),
    split: Name.default("train"),
    responses: z.enum(["data", "teacher"]).default("data"),
    teacher_sampling: TeacherSampling.prefault({}),
    template: Template.default("chat"),
    max_prompt_length: z.int().min(1).max(131_072).default(256),
    max_length: z.int().min(2).max(131_072).default(512),
    objective: Objective,
    lm_coef: z.number().min(0).max(1e3).default(0),
    lm_dataset: z.union([z.string().max(128), z.null()]).default(null),
    lm_split: Name.default("train"),
    optimizer: Optimizer.prefault({}),
    batch_size: z.int().min(1).max(4096).default(8),
    micro_batch_tokens: MicroBatchTokens.default(null),
    dtype: Dtype.default("float32"),
    lora: z.union([Lora, z.null()]).default(null),
    gradient_checkpointing: z.boolean().default(false),
    seed: Seed.default(40),
    metrics_every: z.int().min(1).max(1_000_000).default(25),
    checkpoint_every: z.union([z.int().min(1).max(1_000_000), z.null()]).default(null),
    evaluation: z.union([RunEvaluation, z.null()]).default(null),
  })
  .meta({ id: "CreateRun" });

/** Rows whose whole text is learnt with weight `coef`, `batch_size` of them a step. */
export const PlainText = z.strictObject({ data: SplitRef, coef: z.number().gt(0) }).meta({ id: "PlainText" });

/** What a worker needs to train: every name resolved, every default filled. The run's genesis hash is over this. */
export const RunSpec = z
  .strictObject({
    teacher: z.union([ModelRef, z.null()]),
    student: ModelRef,
    data: SplitRef,
    responses: z.enum(["data", "teacher"]),
    teacher_sampling: TeacherSampling,
    plain_text: z.union([PlainText, z.null()]),
    reward_model: z.union([ModelRef, z.null()]).meta({ description: "the checkpoint of an implicit reward" }),
    template: Template,
    max_prompt_length: z.int(),
    max_length: z.int(),
    objective: Objective,
    optimizer: Optimizer,
    batch_size: z.int(),
    dtype: Dtype,
    lora: z.union([Lora, z.null()]),
    gradient_checkpointing: z.boolean(),
    seed: Seed,
    metrics_every: z.int(),
    checkpoint_every: z.union([z.int(), z.null()]),
  })
  .meta({ id: "RunSpec" });

/** Plan parameters from step `from` on, journaled before any step uses them. */
export const PlanEntry = z
  .strictObject({ from: z.int().min(1), micro_batch_tokens: MicroBatchTokens, head_chunk: z.int().min(1).max(65_536) })
  .meta({ id: "PlanEntry" });

const Metric = z.union([z.number(), z.null()]);

const PhaseSeconds = z
  .strictObject({
    data: z.number().min(0),
    teacher: z.number().min(0),
    forward: z.number().min(0),
    backward: z.number().min(0),
    optimizer: z.number().min(0),
    upload: z.number().min(0),
  })
  .meta({ id: "PhaseSeconds", description: "where a step's seconds went; upload: copying what is stored beside it" });

export const StepMetrics = z
  .strictObject({
    loss: z.number(),
    "loss/lm": Metric,
    "loss/distill": Metric,
    "loss/plain_text": Metric,
    "margin/token_mean": Metric,
    argmax_agreement: Metric,
    "rewards/chosen": Metric,
    "rewards/rejected": Metric,
    "rewards/margins": Metric,
    "rewards/accuracies": Metric,
    "reward/mean": Metric,
    "kl/forward": Metric,
    "kl/reverse": Metric,
    "entropy/teacher": Metric,
    "entropy/student": Metric,
    grad_norm: z.number(),
    learning_rate: z.number(),
    tokens: z.int().min(0),
    tokens_per_second: z.number().min(0),
    seconds: z.number().min(0),
    phases: PhaseSeconds,
    teacher_cache: z.strictObject({ hits: z.int().min(0), misses: z.int().min(0) }),
    memory_bytes: z.int().min(0).meta({ description: "high-water mark of the process, or of the GPU" }),
  })
  .meta({
    id: "StepMetrics",
    description:
      "losses in nats; tokens are response tokens; unknown is null; kl and entropy, in nats a token, every metrics_every steps",
  });

export const Step = z
  .strictObject({
    id: z.string(),
    object: z.enum(["step"]),
    run: Id,
    step: z.int().min(1),
    lineage: z.int().min(0),
    hash: Sha256,
    superseded: z.boolean(),
    metrics: StepMetrics,
    committed_at: Timestamp,
  })
  .meta({ id: "Step" });

export const StepList = listOf(Step).meta({ id: "StepList" });

export const TakeSteps = z
  .union([
    z.strictObject({ to: z.int().min(1).max(1_000_000) }).meta({ id: "TakeStepsTo" }),
    z.strictObject({ count: z.int().min(1).max(1_000_000) }).meta({ id: "TakeStepsCount" }),
  ])
  .meta({ id: "TakeSteps" });

/** Rows kept and skipped once the worker has tokenised the split; `digest` is over the kept rows' ids and token ids. */
export const RowsReport = z
  .strictObject({
    kept: z.int().min(0),
    skipped: z.int().min(0),
    skipped_examples: z.array(z.strictObject({ row: z.string(), reason: z.string() })).max(20),
    digest: Sha256,
  })
  .meta({ id: "RowsReport" });

export const LineageBreak = z
  .strictObject({ lineage: z.int().min(0), from: z.int().min(0), reason: z.string(), at: Timestamp })
  .meta({ id: "LineageBreak" });

export const BestCheckpoint = z
  .strictObject({ step: z.int().min(1), lineage: z.int().min(0), value: z.number(), evaluation: Id })
  .meta({
    id: "BestCheckpoint",
    description: "the checkpoint that its own evaluations prefer; a tie goes to the earlier",
  });

export const Run = z
  .strictObject({
    id: Id,
    object: z.enum(["run"]),
    created_at: Timestamp,
    status: z.enum(["queued", "running", "ready", "completed", "failed", "cancelled"]),
    head: z.int().min(0),
    target: z.int().min(0),
    lineage: z.int().min(0),
    fence: z.int().min(0),
    head_hash: z.union([Sha256, z.null()]),
    state_sha256: z.union([Sha256, z.null()]),
    lineage_breaks: z.array(LineageBreak),
    rows: z.union([RowsReport, z.null()]),
    rows_skipped: z.int().min(0),
    best: z.union([BestCheckpoint, z.null()]),
    error: z.union([Failure, z.null()]),
    ...CreateRun.shape,
    teacher: z.union([ModelName, z.null()]),
    optimizer: Optimizer,
    student_layers: z.union([z.array(z.int()), z.null()]),
  })
  .meta({ id: "Run" });

export const RunList = listOf(Run).meta({ id: "RunList" });

export const Checkpoint = z
  .strictObject({
    id: Id,
    object: z.enum(["checkpoint"]),
    run: Id,
    step: z.int().min(0),
    lineage: z.int().min(0),
    created_at: Timestamp,
    sha256: Sha256.meta({ description: "of the weights" }),
    files: z.array(z.strictObject({ name: z.string(), bytes: z.int().min(0), sha256: Sha256, href: z.string() })),
  })
  .meta({ id: "Checkpoint" });

export const CheckpointList = listOf(Checkpoint).meta({ id: "CheckpointList" });

/** A stored set of files at one step: a checkpoint (weights, config, tokenizer) or a resume state (weights and optimizer). */
export const StoredState = z
  .strictObject({
    step: z.int().min(0),
    sha256: Sha256,
    parameters: z.int().min(1),
    files: z.array(FileRef).min(1).max(64),
  })
  .meta({
    id: "StoredState",
    description: "sha256: of the weights (checkpoint), of weights and optimizer (resume state)",
  });

export const SamplesSource = z.enum(["student", "teacher"]).meta({ id: "SamplesSource" });

/** Responses drawn before step `n` and stored before it ran: the student's for the block of steps that begins at n,
 * or the teacher's for those rows of the block that it had not answered yet. */
export const SamplesRef = z
  .strictObject({ source: SamplesSource, n: z.int().min(1), blob: BlobRef })
  .meta({ id: "SamplesRef", description: "the blob is the JSON of SampledRows" });

export const SampledRow = z
  .strictObject({
    place: z.int().min(0).meta({ description: "(step - 1) * batch_size + index in the batch; for the teacher 0" }),
    row: z.string(),
    ids: z.array(z.int().min(0)).min(1),
  })
  .meta({ id: "SampledRow" });

export const SampledRows = z.strictObject({ rows: z.array(SampledRow).min(1) }).meta({ id: "SampledRows" });

const event = <K extends string, T extends z.ZodType>(type: K, data: T) =>
  z.strictObject({ sequence: z.int().min(1), at: Timestamp, type: z.enum([type]), data });

/** One entry of a run's event stream; `sequence` is the SSE id. */
export const RunEvent = z
  .discriminatedUnion("type", [
    event("status", z.strictObject({ status: z.string(), head: z.int(), error: z.union([Failure, z.null()]) })),
    event("rows", RowsReport),
    event("step", Step),
    event("checkpoint", z.strictObject({ checkpoint: Id, step: z.int(), sha256: Sha256 })),
    event("resume_state", z.strictObject({ step: z.int(), sha256: Sha256 })),
    event("lineage_break", LineageBreak),
    event("plan", PlanEntry),
    event("best", BestCheckpoint),
  ])
  .meta({ id: "RunEvent" });

export type CreateRun = z.infer<typeof CreateRun>;
export type RunSpec = z.infer<typeof RunSpec>;
export type Run = z.infer<typeof Run>;
export type Step = z.infer<typeof Step>;
export type StepMetrics = z.infer<typeof StepMetrics>;
export type TakeSteps = z.infer<typeof TakeSteps>;
export type PlanEntry = z.infer<typeof PlanEntry>;
export type RowsReport = z.infer<typeof RowsReport>;
export type LineageBreak = z.infer<typeof LineageBreak>;
export type Checkpoint = z.infer<typeof Checkpoint>;
export type BestCheckpoint = z.infer<typeof BestCheckpoint>;
export type SamplesRef = z.infer<typeof SamplesRef>;
export type StoredState = z.infer<typeof StoredState>;
export type RunEvent = z.infer<typeof RunEvent>;
