// A distillation run: what is asked, what the worker is given, what a step reports.
import { z } from "zod";
import { FileRef } from "./blobs.ts";
import { Failure, Id, ModelName, Name, Seed, Sha256, Template, Timestamp, listOf } from "./common.ts";
import { SplitRef } from "./datasets.ts";
import { MetricName, Pattern } from "./evaluations.ts";
import { Generation } from "./generation.ts";
import { ModelRef } from "./models.ts";
import { Objective, TeacherSampling } from "./objectives.ts";
import { Lora, Student } from "./students.ts";

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

/** Every `every` steps a checkpoint is made and evaluated; the best is kept as `<run>@best`. */
export const RunEvaluation = z
  .strictObject({
    every: z.int().min(1).max(1_000_000),
    dataset: z.string().max(128),
    split: Name.default("validation"),
    metric: MetricName.default("exact_match"),
    pattern: z.union([Pattern, z.null()]).default(null),
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

/** Plan parameters from step `from` on, journaled before any step uses them. `share_prefixes`: what the sequences of a
 * micro-batch begin with is computed once; absent from plans of 0.1.0. */
export const PlanEntry = z
  .strictObject({
    from: z.int().min(1),
    micro_batch_tokens: MicroBatchTokens,
    head_chunk: z.int().min(1).max(65_536),
    share_prefixes: z.boolean().optional(),
  })
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
export type StoredState = z.infer<typeof StoredState>;
export type RunEvent = z.infer<typeof RunEvent>;
