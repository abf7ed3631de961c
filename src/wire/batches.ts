// Evaluations by generation: fixed batches, and what is answered to them.
import { z } from "zod";
import { Id, Prompt, Seed, Template } from "./common.ts";
import { EdgeArtifact } from "./exports.ts";
import { FinishReason, Generation } from "./generation.ts";
import { ModelRef } from "./models.ts";

export const GenerateItem = z
  .strictObject({ item: z.string(), seed: Seed, prompt: Prompt })
  .meta({ id: "GenerateItem" });

export const GenerateBatch = z
  .strictObject({ batch: z.int().min(0), items: z.array(GenerateItem).min(1).max(32) })
  .meta({ id: "GenerateBatch" });

/** Fixed batches of an evaluation, cut at its creation; each is generated and committed whole. `artifact`: the export that
 * answers, of a `generate_edge` job, which no GPU worker is sent. */
export const GeneratePayload = z
  .strictObject({
    kind: z.enum(["generate"]),
    evaluation: Id,
    model: ModelRef,
    template: Template,
    generation: Generation,
    artifact: z.union([EdgeArtifact, z.null()]),
    batches: z.array(GenerateBatch).min(1),
  })
  .meta({ id: "GeneratePayload" });

/** A span of batches done: the items themselves went ahead in `items` messages. */
export const GenerateOutput = z
  .strictObject({ kind: z.enum(["generate"]), batches: z.int().min(0) })
  .meta({ id: "GenerateOutput" });

export const GeneratedItem = z
  .strictObject({
    item: z.string(),
    seed: Seed,
    response: z.string(),
    finish_reason: FinishReason,
    num_tokens: z.int().min(0),
  })
  .meta({ id: "GeneratedItem" });

export type GeneratePayload = z.infer<typeof GeneratePayload>;
export type GenerateBatch = z.infer<typeof GenerateBatch>;
export type GeneratedItem = z.infer<typeof GeneratedItem>;
