// What services ask of the scorer, a Worker of its own behind a service binding: its methods, called over RPC.
// Refusals come back as values: an error thrown across RPC loses its class.
import type { Prompt, Template } from "../wire/common.ts";
import type { EdgeArtifact } from "../wire/exports.ts";
import type { ResponseLogprobs } from "../wire/payloads.ts";

export type EdgeRefusalCode = "too_large" | "prompt_too_long" | "invalid_request" | "internal";

export type EdgeAnswer<T> = { ok: true; value: T } | { ok: false; code: EdgeRefusalCode; message: string };

export interface ScoreAsk {
  artifact: EdgeArtifact;
  template: Template;
  /** Tokens that a sequence may have: the shorter context of the two models. */
  maxLength: number;
  items: { prompt: Prompt; responses: string[] }[];
}

/** Greedy answers: the likeliest token each time, ties by the lowest id. */
export interface GenerateAsk {
  artifact: EdgeArtifact;
  template: Template;
  prompts: Prompt[];
  maxNewTokens: number;
  stop: string[];
}

export interface EdgeGenerated {
  response: string;
  finish_reason: "stop" | "length";
  num_tokens: number;
}

export interface ScorerApi {
  /** By item, then by response. */
  score(ask: ScoreAsk): Promise<EdgeAnswer<ResponseLogprobs[][]>>;
  generate(ask: GenerateAsk): Promise<EdgeAnswer<EdgeGenerated[]>>;
}
