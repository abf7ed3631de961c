// What services ask of the scorer, a Worker of its own behind a service binding: its methods, called over RPC.
// Refusals come back as values: an error thrown across RPC loses its class.
import type { RefusalCode } from "../student/refusal.ts";
import type { Answered, Answering, Scoring } from "../student/student.ts";
import type { Prompt, Template } from "../wire/common.ts";
import type { EdgeArtifact } from "../wire/exports.ts";
import type { ResponseLogprobs } from "../wire/payloads.ts";

export type EdgeRefusalCode = RefusalCode | "internal";

export type EdgeAnswer<T> = { ok: true; value: T } | { ok: false; code: EdgeRefusalCode; message: string };

export interface ScoreAsk extends Scoring {
  artifact: EdgeArtifact;
}

export interface GenerateAsk extends Answering {
  artifact: EdgeArtifact;
  template: Template;
  prompts: Prompt[];
}

export type EdgeGenerated = Answered;

export interface ScorerApi {
  /** By item, then by response. */
  score(ask: ScoreAsk): Promise<EdgeAnswer<ResponseLogprobs[][]>>;
  generate(ask: GenerateAsk): Promise<EdgeAnswer<EdgeGenerated[]>>;
}
