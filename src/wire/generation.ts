// How responses are sampled, and what comes back.
import { z } from "zod";
import { Seed, text } from "./common.ts";

/** How the next token is chosen, and what ends a response besides the model's own stop tokens. */
const how = {
  temperature: z.number().min(0).max(10).default(0),
  top_p: z.number().gt(0).max(1).default(1),
  top_k: z.int().min(0).max(1_000_000).default(0),
  stop: z.array(text(100).min(1)).max(8).default([]),
};

export const Generation = z
  .strictObject({
    max_new_tokens: z.int().min(1).max(1024).default(64),
    ...how,
    seeds: z.array(Seed).min(1).max(32).default([10]),
  })
  .meta({ id: "Generation", description: "temperature 0 is greedy; top_k 0 is off; one response for each seed" });

/** The same for completions, whose seeds are each prompt's own; no new token at all is what scoring a text asks for. */
export const CompletionSettings = z
  .strictObject({ max_new_tokens: z.int().min(0).max(16_384), ...how })
  .meta({ id: "CompletionSettings" });

export const FinishReason = z.enum(["stop", "length"]).meta({ id: "FinishReason" });

export type Generation = z.infer<typeof Generation>;
export type CompletionSettings = z.infer<typeof CompletionSettings>;
export type FinishReason = z.infer<typeof FinishReason>;
