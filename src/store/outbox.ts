// What the pool tells D1, in the order it happened. Each entry is drained at least once: applying one twice changes nothing.
import type { ExportOutput } from "../wire/exports.ts";
import type { GeneratedItem } from "../wire/batches.ts";
import type { ScoredPair } from "../wire/pairs.ts";
import type { Failure } from "../wire/common.ts";
import type { ModelFacts } from "../wire/models.ts";
import type { Checkpoint, Run, Step } from "../wire/runs.ts";
import type { Job } from "../wire/jobs.ts";
import type { AnyEvaluation } from "../wire/preference-evaluations.ts";

/** `rev` grows with each change of the thing: D1 keeps the newest. */
export type OutboxEntry =
  | { kind: "job"; project: string; rev: number; job: Omit<Job, "result" | "position" | "workers_available" | "note"> }
  | { kind: "run"; project: string; rev: number; run: Run }
  | { kind: "step"; project: string; rev: number; step: Step }
  | { kind: "checkpoint"; project: string; rev: number; checkpoint: Checkpoint }
  | { kind: "model"; project: string; model: string; outcome: { facts: ModelFacts } | { error: Failure } }
  | { kind: "items"; project: string; evaluation: string; batch: number; items: GeneratedItem[] }
  | { kind: "pairs"; project: string; evaluation: string; batch: number; items: ScoredPair[] }
  | { kind: "evaluation"; project: string; rev: number; evaluation: AnyEvaluation }
  | { kind: "comparisons"; project: string; evaluation: string }
  | { kind: "export"; project: string; job: string; checkpoint: string; at: number; output: ExportOutput }
  | { kind: "scored"; project: string; job: string }
  | { kind: "usage"; project: string; rev: number; day: string; meter: UsageMeter; total: number }
  | { kind: "deleted"; project: string; resource: "run" | AnyEvaluation["object"]; id: string };

export type UsageMeter = "tokens_scored" | "tokens_generated" | "tokens_trained";

/** Applies one entry to D1: `services/settle`, handed to the Durable Object by `src/index.ts`. Throws to be called again later. */
export type Settle<Env> = (env: Env, entry: OutboxEntry) => Promise<void>;
