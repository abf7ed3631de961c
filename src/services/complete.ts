// Completions of a prompt or a conversation: asked of the pool, answered in OpenAI's shapes.
import { COMPLETION_WAIT_S, MAX_CHOICES, MAX_COMPLETION_TOKENS } from "../config.ts";
import { ApiError } from "../errors.ts";
import type { JobState } from "../pool/api.ts";
import type { CreateChatCompletion, CreateCompletion } from "../wire/completions.ts";
import type { Message } from "../wire/common.ts";
import type { CompletePayload } from "../wire/payloads.ts";
import type { Context } from "./context.ts";
import { resourceId } from "./identity.ts";
import { resolveModel } from "./models.ts";
import { expectedTokens } from "./expected-tokens.ts";
import { settled, submit } from "./submit.ts";
import { unwrap } from "./wait.ts";

/** OpenAI's defaults. */
const TEMPERATURE = 1;
const COMPLETION_TOKENS = 16;

const SEEDS = 2 ** 32;

/** What both kinds of request have. */
type Asked = CreateCompletion | CreateChatCompletion;

/** The seeds of a prompt's choices: consecutive ones, so that each choice can be had again by itself. */
function seedsOf({ seed, n }: Asked): number[] {
  const first = seed ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  return Array.from({ length: n ?? 1 }, (_, i) => (((first + i) % SEEDS) + SEEDS) % SEEDS);
}

function settingsOf(body: Asked, maxNewTokens: number): CompletePayload["settings"] {
  const { temperature, top_p, top_k, stop } = body;
  return {
    max_new_tokens: maxNewTokens,
    temperature: temperature ?? TEMPERATURE,
    top_p: top_p ?? 1,
    top_k: top_k ?? 0,
    stop: typeof stop === "string" ? [stop] : (stop ?? []),
  };
}

/** A single prompt, or several: a list of numbers is one prompt's tokens. */
function promptsOf({ prompt }: CreateCompletion): (string | number[])[] {
  if (typeof prompt === "string") return [prompt];
  const prompts: (string | number[])[] = [];
  const tokens: number[] = [];
  for (const part of prompt) {
    if (typeof part === "number") tokens.push(part);
    else prompts.push(part);
  }
  return tokens.length > 0 ? [tokens] : prompts;
}

const messagesOf = ({ messages }: CreateChatCompletion): Message[] =>
  messages.map(({ role, content }) => ({
    role: role === "developer" ? "system" : role,
    content: typeof content === "string" ? content : content.map((part) => part.text).join(""),
  }));

type Question = Omit<CompletePayload, "kind" | "model">;

function completionQuestion(body: CreateCompletion): Question {
  const prompts = promptsOf(body);
  const empty = prompts.findIndex((prompt) => prompt.length === 0);
  if (empty >= 0)
    throw new ApiError("invalid_request", "prompt: an empty prompt has nothing to go on from.", { param: "prompt" });
  const echo = body.echo ?? false;
  const stream = body.stream ?? false;
  if (echo && stream)
    throw new ApiError("invalid_request", "echo: not with stream; ask for one of the two.", { param: "echo" });
  const maxTokens = body.max_tokens ?? COMPLETION_TOKENS;
  if (maxTokens === 0 && !echo) {
    throw new ApiError("invalid_request", "max_tokens: 0 gives nothing without echo.", { param: "max_tokens" });
  }
  return {
    items: prompts.map((prompt) => ({ prompt, seeds: seedsOf(body) })),
    settings: settingsOf(body, maxTokens),
    echo,
    logprobs: body.logprobs ?? null,
    stream,
  };
}

function chatQuestion(body: CreateChatCompletion): Question {
  if ((body.top_logprobs ?? null) !== null && body.logprobs !== true) {
    throw new ApiError("invalid_request", "top_logprobs: needs logprobs: true.", { param: "top_logprobs" });
  }
  return {
    items: [{ prompt: messagesOf(body), seeds: seedsOf(body) }],
    settings: settingsOf(body, body.max_completion_tokens ?? body.max_tokens ?? MAX_COMPLETION_TOKENS),
    echo: false,
    logprobs: body.logprobs === true ? (body.top_logprobs ?? 0) : null,
    stream: body.stream ?? false,
  };
}

/** Hands the completion to the pool. */
export async function askCompletion(ctx: Context, body: Asked, route: string): Promise<JobState> {
  const question = "messages" in body ? chatQuestion(body) : completionQuestion(body);
  const choices = question.items.reduce((sum, item) => sum + item.seeds.length, 0);
  if (choices > MAX_CHOICES) {
    const message = `n: prompts times n is ${choices}; ask for ${MAX_CHOICES} choices at the most.`;
    throw new ApiError("invalid_request", message, { param: "n" });
  }
  const model = await resolveModel(ctx, body.model, "model");
  const payload: CompletePayload = { kind: "complete", model: model.ref, ...question };
  const id = await resourceId(ctx, "job", route);
  const cost = expectedTokens(question.items) + choices * Math.min(question.settings.max_new_tokens, COMPLETION_TOKENS);
  return submit(ctx, { id, asked: body, request: body, payload, models: [model.ref], cost });
}

/** The completed job; 503 where it takes longer than clients wait. Without an Idempotency-Key nobody could ask for it
 * again, so it is then given up. */
export async function finished(ctx: Context, job: JobState): Promise<JobState> {
  const now = await settled(ctx, job, COMPLETION_WAIT_S);
  if (now.status === "completed") return now;
  if (ctx.idempotencyKey === null) await giveUp(ctx, job.id);
  const why = now.workers_available === 0 ? "no worker is connected that could answer" : "the answer takes longer";
  throw new ApiError("unavailable", `After ${COMPLETION_WAIT_S} s ${why}; try again, or stream.`, { retryAfter: 5 });
}

/** Nobody reads the answer any more. */
export async function giveUp(ctx: Context, job: string): Promise<void> {
  unwrap(await ctx.pool.cancelJob(ctx.project.id, job));
}
