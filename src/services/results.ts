// A job's result: the very body that the 200 would have had, made of what was asked and what the worker answered.
import { MAX_BLOB_BYTES } from "../config.ts";
import { ApiError } from "../errors.ts";
import { problemOf } from "../pool/answers.ts";
import type { JobState } from "../pool/api.ts";
import { getBlob } from "../store/blobs.ts";
import type { BlobRef } from "../wire/blobs.ts";
import { CreateChatCompletion, CreateCompletion } from "../wire/completions.ts";
import type { ModelFacts } from "../wire/models.ts";
import { Output } from "../wire/payloads.ts";
import type { CompleteOutput } from "../wire/payloads.ts";
import { CreatePreferences, CreateScores } from "../wire/scores.ts";
import { known } from "../wire/tolerant.ts";
import { TeacherScoresSlice } from "../wire/teacher-scores.ts";
import { getCheckpoint } from "./checkpoints.ts";
import { chatAnswer, completionAnswer } from "./completion-answer.ts";
import type { Context } from "./context.ts";
import { getEvaluation } from "./evaluations.ts";
import { exported } from "./exports.ts";
import { sha256 } from "./identity.ts";
import { getModel } from "./model-registry.ts";
import { getPreferenceEvaluation } from "./preference-evaluations.ts";
import { comparedPreferences, scoredPreferences } from "./prefer.ts";
import { BY_WORKER, scoreList } from "./score.ts";
import { readAll } from "./stream.ts";

/** Undefined where it is none. */
function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function readOutput(ctx: Context, blob: BlobRef): Promise<Output> {
  const bytes = await readAll(await getBlob(ctx.env.BLOBS, blob.key), MAX_BLOB_BYTES, "The job's output");
  if ((await sha256(bytes)) !== blob.sha256) throw new Error(`blob ${blob.key} does not have its digest`);
  const output = Output.safeParse(known(Output, fromJson(new TextDecoder().decode(bytes))));
  const problem = output.success ? problemOf(null, output.data) : "it has another shape";
  if (output.success && problem === null) return output.data;
  throw new ApiError("worker_failed", `The worker's output does not answer what was asked: ${problem ?? ""}.`);
}

/** What the job's caller asked. */
export const requestOf = (job: JobState): unknown => (job.request === null ? null : JSON.parse(job.request));

/** What the worker answered; null until the job is completed. */
export async function outputOf(ctx: Context, job: JobState): Promise<Output | null> {
  if (job.status !== "completed") return null;
  return job.output ?? (job.artifact === null ? null : readOutput(ctx, job.artifact));
}

/** A completed completion's output. */
export async function completeOutput(ctx: Context, job: JobState): Promise<CompleteOutput> {
  const output = await outputOf(ctx, job);
  if (output?.kind !== "complete") throw new Error(`job ${job.id} has no completion`);
  return output;
}

function completed(job: JobState, output: CompleteOutput): unknown {
  const chat = CreateChatCompletion.safeParse(requestOf(job));
  return chat.success
    ? chatAnswer(job, chat.data, output)
    : completionAnswer(job, CreateCompletion.parse(requestOf(job)), output);
}

/** The body that the 200 would have had; null until the job is completed. */
export async function jobResult(ctx: Context, job: JobState): Promise<unknown> {
  const output = await outputOf(ctx, job);
  if (output === null) return null;
  switch (output.kind) {
    case "score": {
      if (TeacherScoresSlice.safeParse(requestOf(job)).success)
        return { object: "teacher_scores_slice", tokens: output.tokens };
      const scores = CreateScores.safeParse(requestOf(job));
      return scores.success
        ? scoreList(job.id, scores.data, output, BY_WORKER)
        : scoredPreferences(job.id, CreatePreferences.parse(requestOf(job)), output, BY_WORKER);
    }
    case "complete":
      return completed(job, output);
    case "tokenize":
      return output;
    case "compare":
      return comparedPreferences(job.id, CreatePreferences.parse(requestOf(job)), output);
    case "prepare":
      return prepared(ctx, job, output.facts);
    case "generate":
      return job.subject === null ? null : getEvaluation(ctx, job.subject);
    case "prefer":
      return job.subject === null ? null : getPreferenceEvaluation(ctx, job.subject);
    case "export":
      return exported(job, output);
    case "train":
      return trained(ctx, job, output.head);
  }
}

/** The model; where D1 has not followed yet, with what the worker has just found out. */
async function prepared(ctx: Context, { subject }: JobState, facts: ModelFacts): Promise<unknown> {
  if (subject === null) return null;
  const model = await getModel(ctx, subject);
  return model.status === "ready" ? model : { ...model, status: "ready", facts, error: null };
}

/** The checkpoint, if that was asked for; else the run. */
async function trained(ctx: Context, job: JobState, head: number): Promise<unknown> {
  const { subject } = job;
  if (subject === null) return null;
  const request = requestOf(job);
  const run = await ctx.pool.getRun(ctx.project.id, subject);
  const asked = typeof request === "object" && request !== null && "checkpoint" in request;
  if (!asked || run === null) return run;
  return getCheckpoint(ctx, subject, run.lineage === 0 ? String(head) : `${head}.${run.lineage}`);
}
