// What a leased job asks of a worker (`payload`) and what the worker answers (`output`), by kind.
import { z } from "zod";
import { Id, Prompt, Seed, Sha256, Template, text } from "./common.ts";
import { FinishReason, Generation } from "./generation.ts";
import { ModelFacts, ModelRef } from "./models.ts";
import { PlanEntry, RowsReport, RunSpec, StoredState } from "./runs.ts";
import { SamplesRef } from "./samples.ts";

export const JobKind = z.enum(["prepare", "score", "compare", "generate", "train"]).meta({ id: "JobKind" });

/** Load a model once, measure it, digest it. */
export const PreparePayload = z
  .strictObject({ kind: z.enum(["prepare"]), model: ModelRef })
  .meta({ id: "PreparePayload" });

export const ScoreItem = z
  .strictObject({ prompt: Prompt, responses: z.array(text(200_000)).min(1).max(64) })
  .meta({ id: "ScoreItem" });

/** Log-probabilities of given responses under both models. */
export const ScorePayload = z
  .strictObject({
    kind: z.enum(["score"]),
    teacher: ModelRef,
    student: ModelRef,
    template: Template,
    items: z.array(ScoreItem).min(1).max(64),
  })
  .meta({ id: "ScorePayload" });

/** Teacher and student each answer every prompt; both answers are scored under both models. */
export const ComparePayload = z
  .strictObject({
    kind: z.enum(["compare"]),
    teacher: ModelRef,
    student: ModelRef,
    template: Template,
    prompts: z.array(Prompt).min(1).max(32),
    generation: Generation,
  })
  .meta({ id: "ComparePayload" });

export const GenerateItem = z
  .strictObject({ item: z.string(), seed: Seed, prompt: Prompt })
  .meta({ id: "GenerateItem" });

export const GenerateBatch = z
  .strictObject({ batch: z.int().min(0), items: z.array(GenerateItem).min(1).max(32) })
  .meta({ id: "GenerateBatch" });

/** Fixed batches of an evaluation, cut at its creation; each is generated and committed whole. */
export const GeneratePayload = z
  .strictObject({
    kind: z.enum(["generate"]),
    evaluation: Id,
    model: ModelRef,
    template: Template,
    generation: Generation,
    batches: z.array(GenerateBatch).min(1),
  })
  .meta({ id: "GeneratePayload" });

/** Steps `from..to` of a run. The worker reaches `from - 1` from its own memory if it holds exactly `head_hash` there,
 * else by loading `resume` (null: the student as registered, step 0) and replaying, verifying each of `hashes`
 * (those of steps resume.step+1 .. from-1, in order). `rows` is null until a worker has reported them.
 * `checkpoint_at` lists the steps in `from-1..to` after which a checkpoint is uploaded. `samples` lists what the lineage
 * has journaled: all of the teacher's, and the student's from the block of step resume.step+1 on. */
export const TrainPayload = z
  .strictObject({
    kind: z.enum(["train"]),
    run: Id,
    spec: RunSpec,
    from: z.int().min(1),
    to: z.int().min(0),
    head_hash: z.union([Sha256, z.null()]),
    plan: z.array(PlanEntry).min(1),
    rows: z.union([RowsReport, z.null()]),
    resume: z.union([StoredState, z.null()]),
    hashes: z.array(Sha256).max(10_000),
    checkpoint_at: z.array(z.int().min(0)),
    samples: z.array(SamplesRef).max(100_000),
  })
  .meta({ id: "TrainPayload" });

export const Payload = z
  .discriminatedUnion("kind", [PreparePayload, ScorePayload, ComparePayload, GeneratePayload, TrainPayload])
  .meta({ id: "Payload" });

export const PrepareOutput = z
  .strictObject({ kind: z.enum(["prepare"]), facts: ModelFacts })
  .meta({ id: "PrepareOutput" });

/** Per-token log-probabilities in nats, fp32; `token_ids`, `teacher_logprobs`, `student_logprobs` have equal length. */
export const ScoredResponse = z
  .strictObject({
    token_ids: z.array(z.int().min(0)),
    token_texts: z.array(z.string()),
    teacher_logprobs: z.array(z.number()),
    student_logprobs: z.array(z.number()),
  })
  .meta({ id: "ScoredResponse" });

export const ScoreOutput = z
  .strictObject({ kind: z.enum(["score"]), items: z.array(z.array(ScoredResponse)), tokens: z.int().min(0) })
  .meta({ id: "ScoreOutput" });

export const ComparedAnswer = z
  .strictObject({ response: z.string(), finish_reason: FinishReason, scored: ScoredResponse })
  .meta({ id: "ComparedAnswer" });

const ComparedPair = z.strictObject({ teacher: ComparedAnswer, student: ComparedAnswer }).meta({ id: "ComparedPair" });

export const CompareOutput = z
  .strictObject({
    kind: z.enum(["compare"]),
    items: z.array(ComparedPair),
    tokens: z.int().min(0),
  })
  .meta({ id: "CompareOutput" });

/** A span of batches done: the items themselves went ahead in `items` messages. */
export const GenerateOutput = z
  .strictObject({ kind: z.enum(["generate"]), batches: z.int().min(0) })
  .meta({ id: "GenerateOutput" });

/** A span of steps done: the steps themselves went ahead in `step` messages.
 * `state_sha256` (weights and optimizer) once the run's last step is reached, else null. */
export const TrainOutput = z
  .strictObject({ kind: z.enum(["train"]), head: z.int().min(0), state_sha256: z.union([Sha256, z.null()]) })
  .meta({ id: "TrainOutput" });

export const Output = z
  .discriminatedUnion("kind", [PrepareOutput, ScoreOutput, CompareOutput, GenerateOutput, TrainOutput])
  .meta({ id: "Output" });

export const GeneratedItem = z
  .strictObject({
    item: z.string(),
    seed: Seed,
    response: z.string(),
    finish_reason: FinishReason,
    num_tokens: z.int().min(0),
  })
  .meta({ id: "GeneratedItem" });

export type JobKind = z.infer<typeof JobKind>;
export type Payload = z.infer<typeof Payload>;
export type PreparePayload = z.infer<typeof PreparePayload>;
export type ScorePayload = z.infer<typeof ScorePayload>;
export type ComparePayload = z.infer<typeof ComparePayload>;
export type GeneratePayload = z.infer<typeof GeneratePayload>;
export type GenerateBatch = z.infer<typeof GenerateBatch>;
export type GeneratedItem = z.infer<typeof GeneratedItem>;
export type TrainPayload = z.infer<typeof TrainPayload>;
export type Output = z.infer<typeof Output>;
export type ScoredResponse = z.infer<typeof ScoredResponse>;
export type ScoreOutput = z.infer<typeof ScoreOutput>;
export type CompareOutput = z.infer<typeof CompareOutput>;
