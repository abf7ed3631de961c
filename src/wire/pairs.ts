// The pairs of a preference evaluation: what is asked of a worker, and what it finds of each.
import { z } from "zod";
import { Id, Prompt, Seed, Template, text } from "./common.ts";
import { FinishReason, Generation } from "./generation.ts";
import { ModelRef } from "./models.ts";

/** `pair`: the two responses to score; null: `chosen` is what the teacher answers, `rejected` what the student does. */
export const PreferItem = z
  .strictObject({
    item: z.string(),
    seed: Seed,
    prompt: Prompt,
    pair: z.union([z.strictObject({ chosen: text(200_000), rejected: text(200_000) }), z.null()]),
  })
  .meta({ id: "PreferItem" });

export const PreferBatch = z
  .strictObject({ batch: z.int().min(0), items: z.array(PreferItem).min(1).max(32) })
  .meta({ id: "PreferBatch" });

/** Fixed batches of a preference evaluation: both responses of each item under both models. `generation` is null where
 * every item has a pair. */
export const PreferPayload = z
  .strictObject({
    kind: z.enum(["prefer"]),
    evaluation: Id,
    teacher: ModelRef,
    student: ModelRef,
    template: Template,
    generation: z.union([Generation, z.null()]),
    batches: z.array(PreferBatch).min(1),
  })
  .meta({ id: "PreferPayload" });

/** A span of batches done: the pairs themselves went ahead in `pairs` messages. */
export const PreferOutput = z
  .strictObject({ kind: z.enum(["prefer"]), batches: z.int().min(0) })
  .meta({ id: "PreferOutput" });

/** Log-probabilities summed over the response's tokens, nats. A response that was given is not repeated: `response` and
 * `finish_reason` are null. */
export const PairSide = z
  .strictObject({
    response: z.union([z.string(), z.null()]),
    finish_reason: z.union([FinishReason, z.null()]),
    num_tokens: z.int().min(0),
    teacher_logprob: z.number(),
    student_logprob: z.number(),
  })
  .meta({ id: "PairSide" });

export const ScoredPair = z
  .strictObject({ item: z.string(), seed: Seed, chosen: PairSide, rejected: PairSide })
  .meta({ id: "ScoredPair" });

export type PreferPayload = z.infer<typeof PreferPayload>;
export type PreferBatch = z.infer<typeof PreferBatch>;
export type PairSide = z.infer<typeof PairSide>;
export type ScoredPair = z.infer<typeof ScoredPair>;
