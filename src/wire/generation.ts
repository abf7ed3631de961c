// How responses are sampled, and what comes back.
import { z } from "zod";
import { Seed, text } from "./common.ts";

export const Generation = z
  .strictObject({
    max_new_tokens: z.int().min(1).max(1024).default(64),
    temperature: z.number().min(0).max(10).default(0),
    top_p: z.number().gt(0).max(1).default(1),
    top_k: z.int().min(0).max(1_000_000).default(0),
    stop: z.array(text(100).min(1)).max(8).default([]),
    seeds: z.array(Seed).min(1).max(32).default([10]),
  })
  .meta({ id: "Generation", description: "temperature 0 is greedy; top_k 0 is off; one response for each seed" });

export const FinishReason = z.enum(["stop", "length"]).meta({ id: "FinishReason" });

export type Generation = z.infer<typeof Generation>;
export type FinishReason = z.infer<typeof FinishReason>;
