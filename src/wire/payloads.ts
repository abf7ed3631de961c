// What a leased job asks of a worker (`payload`) and what the worker answers (`output`), by kind.
import { z } from "zod";
import { Id, Messages, Prompt, Seed, Sha256, Template, text } from "./common.ts";
import { GenerateOutput, GeneratePayload } from "./batches.ts";
import { ExportOutput, ExportPayload } from "./exports.ts";
import { CompletionSettings, FinishReason, Generation } from "./generation.ts";
import { ModelFacts, ModelRef } from "./models.ts";
import { PreferOutput, PreferPayload } from "./pairs.ts";
import { PlanEntry, RowsReport, RunSpec, StoredState } from "./runs.ts";
import { SamplesRef } from "./samples.ts";

export const JobKind = z
  .enum([
    "prepare",
    "score",
    "complete",
    "tokenize",
    "compare",
    "generate",
    "prefer",
    "train",
    "export",
    "generate_edge",
  ])
  .meta({ id: "JobKind" });

/** What people wait for: a worker holds many of them at once and works on them together, beside its long jobs. */
export const REQUEST_KINDS = ["score", "complete", "tokenize"] as const satisfies readonly JobKind[];

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

const TokenIds = z.array(z.int().min(0)).max(100_000).meta({ id: "TokenIds" });

/** A text or token ids are read as they are; messages under the model's chat template. One choice for each seed. */
export const CompleteItem = z
  .strictObject({ prompt: z.union([text(1_000_000), TokenIds, Messages]), seeds: z.array(Seed).min(1).max(128) })
  .meta({ id: "CompleteItem" });

/** Completions of prompts, with the log-probabilities of their tokens (`logprobs`: how many likelier ones go with each;
 * null: none) and, if `echo`, of the prompts' own. `stream`: what is new goes ahead in `delta` messages. */
export const CompletePayload = z
  .strictObject({
    kind: z.enum(["complete"]),
    model: ModelRef,
    items: z.array(CompleteItem).min(1).max(128),
    settings: CompletionSettings,
    echo: z.boolean(),
    logprobs: z.union([z.int().min(0).max(20), z.null()]),
    stream: z.boolean(),
  })
  .meta({ id: "CompletePayload" });

/** Tokens of texts, or texts of tokens: one of the two is empty. */
export const TokenizePayload = z
  .strictObject({
    kind: z.enum(["tokenize"]),
    model: ModelRef,
    texts: z.array(text(1_000_000)).max(1024),
    tokens: z.array(TokenIds).max(1024),
    add_special_tokens: z.boolean(),
  })
  .meta({ id: "TokenizePayload" });

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
  .discriminatedUnion("kind", [
    PreparePayload,
    ScorePayload,
    CompletePayload,
    TokenizePayload,
    ComparePayload,
    GeneratePayload,
    PreferPayload,
    TrainPayload,
    ExportPayload,
  ])
  .meta({ id: "Payload" });

export const PrepareOutput = z
  .strictObject({ kind: z.enum(["prepare"]), facts: ModelFacts })
  .meta({ id: "PrepareOutput" });

/** One model's log-probabilities of a response's tokens, in nats and fp32; the three have equal length. */
export interface ResponseLogprobs {
  token_ids: number[];
  token_texts: string[];
  logprobs: number[];
}

/** Per-token log-probabilities in nats, fp32; `token_ids`, `teacher_logprobs`, `student_logprobs` have equal length. */
export const ScoredResponse = z
  .strictObject({
    token_ids: z.array(z.int().min(0)),
    token_texts: z.array(z.string()),
    teacher_logprobs: z.array(z.number()),
    student_logprobs: z.array(z.number()),
  })
  .meta({ id: "ScoredResponse" });

/** Responses whose teacher log-probabilities were there already: in the record, or in a worker's cache of a frozen teacher. */
export const TeacherCacheUse = z
  .strictObject({ hits: z.int().min(0), misses: z.int().min(0) })
  .meta({ id: "TeacherCacheUse" });

export const ScoreOutput = z
  .strictObject({
    kind: z.enum(["score"]),
    items: z.array(z.array(ScoredResponse)),
    tokens: z.int().min(0),
    teacher_cache: TeacherCacheUse,
  })
  .meta({ id: "ScoreOutput" });

const LikelyToken = z
  .strictObject({ id: z.int().min(0), text: z.string(), logprob: z.number() })
  .meta({ id: "LikelyToken" });

/** Of tokens in order, in nats and fp32: `logprobs` and `likeliest` are null for one that nothing comes before. The
 * likeliest come first, ties by the lowest id. A token that is the likeliest has the very number of `likeliest[0]`. */
export const TokenLogprobs = z
  .strictObject({
    token_ids: TokenIds,
    token_texts: z.array(z.string()),
    logprobs: z.array(z.union([z.number(), z.null()])),
    likeliest: z.array(z.union([z.array(LikelyToken), z.null()])),
  })
  .meta({ id: "TokenLogprobs" });

/** `item` of the payload and `sample` of its seeds. `text` is what was generated, without what stopped it. */
export const Choice = z
  .strictObject({
    item: z.int().min(0),
    sample: z.int().min(0),
    text: z.string(),
    finish_reason: FinishReason,
    num_tokens: z.int().min(0),
    logprobs: z.union([TokenLogprobs, z.null()]),
  })
  .meta({ id: "Choice" });

/** Of a prompt: its text and log-probabilities where an echo of them was asked for. */
const ReadPrompt = z
  .strictObject({
    num_tokens: z.int().min(1),
    text: z.union([z.string(), z.null()]),
    logprobs: z.union([TokenLogprobs, z.null()]),
  })
  .meta({ id: "ReadPrompt" });

export const CompleteOutput = z
  .strictObject({
    kind: z.enum(["complete"]),
    prompts: z.array(ReadPrompt),
    choices: z.array(Choice),
    tokens: z.int().min(0),
  })
  .meta({ id: "CompleteOutput" });

const SpecialToken = z.union([z.string(), z.null()]);

export const TokenizeOutput = z
  .strictObject({
    kind: z.enum(["tokenize"]),
    tokens: z.array(TokenIds),
    texts: z.array(z.string()),
    bos_token: SpecialToken,
    eos_token: SpecialToken,
    pad_token: SpecialToken,
    chat_template: z.union([z.string(), z.null()]),
  })
  .meta({ id: "TokenizeOutput" });

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

/** A span of steps done: the steps themselves went ahead in `step` messages.
 * `state_sha256` (weights and optimizer) once the run's last step is reached, else null. */
export const TrainOutput = z
  .strictObject({ kind: z.enum(["train"]), head: z.int().min(0), state_sha256: z.union([Sha256, z.null()]) })
  .meta({ id: "TrainOutput" });

export const Output = z
  .discriminatedUnion("kind", [
    PrepareOutput,
    ScoreOutput,
    CompleteOutput,
    TokenizeOutput,
    CompareOutput,
    GenerateOutput,
    PreferOutput,
    TrainOutput,
    ExportOutput,
  ])
  .meta({ id: "Output" });

export type JobKind = z.infer<typeof JobKind>;
export type Payload = z.infer<typeof Payload>;
export type PreparePayload = z.infer<typeof PreparePayload>;
export type ScorePayload = z.infer<typeof ScorePayload>;
export type CompletePayload = z.infer<typeof CompletePayload>;
export type CompleteOutput = z.infer<typeof CompleteOutput>;
export type Choice = z.infer<typeof Choice>;
export type TokenLogprobs = z.infer<typeof TokenLogprobs>;
export type TokenizePayload = z.infer<typeof TokenizePayload>;
export type TokenizeOutput = z.infer<typeof TokenizeOutput>;
export type ComparePayload = z.infer<typeof ComparePayload>;
export type TrainPayload = z.infer<typeof TrainPayload>;
export type Output = z.infer<typeof Output>;
export type ScoredResponse = z.infer<typeof ScoredResponse>;
export type ScoreOutput = z.infer<typeof ScoreOutput>;
export type CompareOutput = z.infer<typeof CompareOutput>;
