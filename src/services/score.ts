// Implicit rewards of responses to one prompt.
import { MAX_TOKEN_BYTES } from "../config.ts";
import { ApiError } from "../errors.ts";
import type { JobState } from "../pool/api.ts";
import { pairwise } from "../scoring/preference.ts";
import { firstPlace, ranks } from "../scoring/ranking.ts";
import { implicitReward, logprob, tokenRewards } from "../scoring/reward.ts";
import type { RewardOptions } from "../scoring/reward.ts";
import type { Prompt, Template } from "../wire/common.ts";
import type { ScoredResponse, ScoreOutput, ScorePayload } from "../wire/payloads.ts";
import type { CreateScores, Score, ScoreList } from "../wire/scores.ts";
import type { Context } from "./context.ts";
import { resourceId, twinId } from "./identity.ts";
import { maxLengthOf } from "./known-logprobs.ts";
import { assertSameTokenizer, pinned, resolveModel } from "./models.ts";
import type { ResolvedModel } from "./models.ts";
import { LENGTH_NOTE, notes } from "./notes.ts";
import { scoreAtEdge } from "./score-edge.ts";
import { expectedTokens } from "./expected-tokens.ts";
import { settled, submit } from "./submit.ts";

export interface Pair {
  teacher: ResolvedModel;
  student: ResolvedModel;
  /** As the answer names them. */
  names: { teacher: string; student: string };
}

/** Both models, able to read the same tokens. */
export async function resolvePair(ctx: Context, asked: Pair["names"]): Promise<Pair> {
  const [teacher, student] = await Promise.all([
    resolveModel(ctx, asked.teacher, "teacher"),
    resolveModel(ctx, asked.student, "student"),
  ]);
  assertSameTokenizer(teacher, student);
  const names = { teacher: pinned(asked.teacher, teacher), student: pinned(asked.student, student) };
  return { teacher, student, names };
}

/** Refuses what certainly exceeds the context; the worker, which counts tokens, refuses the rest under the same code. */
export function assertFits(prompt: Prompt, models: readonly ResolvedModel[], param: string): void {
  const context = Math.min(...models.map((model) => model.facts.context_length));
  const bytes = new TextEncoder().encode(
    typeof prompt === "string" ? prompt : prompt.map((turn) => turn.content).join(""),
  ).length;
  if (bytes <= context * MAX_TOKEN_BYTES) return;
  throw new ApiError(
    "prompt_too_long",
    `${param}: ${bytes} bytes cannot fit a context of ${context} tokens; shorten the prompt.`,
    { param },
  );
}

/** Under `raw` nothing is added to a response, so an empty one has no token that could be scored. */
export function assertScorable(responses: readonly string[], template: Template, param: string): void {
  if (template !== "raw" || !responses.includes("")) return;
  const message = `${param}: an empty response has no tokens under the template raw; leave it out or use another template.`;
  throw new ApiError("invalid_request", message, { param });
}

export const promptOf = (body: CreateScores): Prompt => {
  const prompt = body.prompt ?? body.messages;
  if (prompt === undefined)
    throw new ApiError("invalid_request", "prompt: give exactly one of prompt and messages.", { param: "prompt" });
  return prompt;
};

/** The scores, where the edge has them or computes them; else the job, finished or still going on after `wait` seconds. */
export async function createScores(ctx: Context, body: CreateScores, wait: number): Promise<ScoreList | JobState> {
  const prompt = promptOf(body);
  assertScorable(body.responses, body.template, "responses");
  const pair = await resolvePair(ctx, body);
  const { teacher, student, names } = pair;
  assertFits(prompt, [teacher, student], body.prompt === undefined ? "messages" : "prompt");
  const payload: ScorePayload = {
    kind: "score",
    teacher: teacher.ref,
    student: student.ref,
    template: body.template,
    items: [{ prompt, responses: body.responses }],
  };
  const id = await resourceId(ctx, "job", "POST /v1/scores");
  const request = { ...body, ...names };
  const { template } = body;
  const sequences = { template, maxLength: maxLengthOf(pair), items: payload.items };
  const found = await scoreAtEdge(ctx, pair, sequences, body.compute);
  if (found !== null) return scoreList(id, request, found, found);
  const cost = body.responses.length * expectedTokens(prompt) + expectedTokens(body.responses);
  const job = await submit(ctx, { id, asked: body, request, payload, models: [teacher.ref, student.ref], cost });
  return settled(ctx, job, wait);
}

function scoreOf(scored: ScoredResponse, options: RewardOptions): Omit<Score, "index" | "preference" | "rank"> {
  const shares = tokenRewards(scored, options);
  return {
    num_tokens: scored.token_ids.length,
    teacher_logprob: logprob(scored.teacher_logprobs),
    student_logprob: logprob(scored.student_logprobs),
    implicit_reward: implicitReward(scored, options),
    tokens: scored.token_ids.map((id, i) => ({
      id,
      text: at(scored.token_texts, i),
      teacher_logprob: at(scored.teacher_logprobs, i),
      student_logprob: at(scored.student_logprobs, i),
      implicit_reward: at(shares, i),
    })),
  };
}

/** A worker's answer has the shape that was asked for, or it is our fault. */
export function at<T>(values: readonly T[], index: number): T {
  const value = values[index];
  if (value === undefined) throw new Error("a worker's answer is shorter than what was asked");
  return value;
}

/** What an answer says of how it was computed. */
export interface Computed {
  computed_by: "pool" | "edge";
  note: string | null;
}

export const BY_WORKER: Computed = { computed_by: "pool", note: null };

/** The answer to `POST /v1/scores`. */
export function scoreList(
  job: string,
  body: CreateScores,
  output: Omit<ScoreOutput, "kind">,
  { computed_by, note }: Computed,
): ScoreList {
  const options = { beta: body.beta, lengthNormalize: body.length_normalize };
  const item = at(output.items, 0);
  const scores = body.responses.map((_, i) => scoreOf(at(item, i), options));
  const rewards = scores.map((score) => score.implicit_reward);
  const preferences = firstPlace(rewards);
  const rank = ranks(rewards);
  return {
    object: "score_list",
    id: twinId("score", job),
    teacher: body.teacher,
    student: body.student,
    beta: body.beta,
    length_normalize: body.length_normalize,
    data: scores.map((score, index) => ({
      index,
      ...score,
      preference: at(preferences, index),
      rank: at(rank, index),
      tokens: body.return_tokens ? score.tokens : null,
    })),
    pairwise: pairwise(rewards),
    computed_by,
    teacher_cache: output.teacher_cache,
    usage: { tokens: output.tokens },
    note: notes(note, body.length_normalize ? LENGTH_NOTE : null),
  };
}
