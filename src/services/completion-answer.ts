// What a worker answered, in OpenAI's shapes. Pure: a stream and a stored job are presented by the same functions.
import type {
  ChatCompletion,
  ChatLogprobs,
  Completion,
  CompletionLogprobs,
  CreateChatCompletion,
  CreateCompletion,
} from "../wire/completions.ts";
import type { Choice, CompleteOutput, TokenLogprobs } from "../wire/payloads.ts";
import { twinId } from "./identity.ts";
import { at } from "./score.ts";

/** The job behind an answer. */
export interface Source {
  id: string;
  created_at: string;
}

export const header = ({ id, created_at }: Source, model: string) => ({
  created: Math.floor(Date.parse(created_at) / 1000),
  model,
  id: twinId("cmpl", id).replace("_", "-"),
});

export function usageOf({ prompts, choices }: CompleteOutput): NonNullable<Completion["usage"]> {
  const prompt = prompts.reduce((sum, { num_tokens }) => sum + num_tokens, 0);
  const completion = choices.reduce((sum, { num_tokens }) => sum + num_tokens, 0);
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}

/** Likelier tokens by their text, the first of equal texts; and the token itself, as OpenAI has it. */
function byText({ token_texts, logprobs, likeliest }: TokenLogprobs, i: number): Record<string, number> | null {
  const found = at(likeliest, i);
  const own = at(logprobs, i);
  if (found === null || own === null) return null;
  const texts = new Map<string, number>();
  for (const { text, logprob } of [...found, { text: at(token_texts, i), logprob: own }]) {
    if (!texts.has(text)) texts.set(text, logprob);
  }
  return Object.fromEntries(texts);
}

/** `offset`: characters of the text before the first token. */
export function textLogprobs(tokens: TokenLogprobs, offset: number): CompletionLogprobs {
  let next = offset;
  return {
    tokens: tokens.token_texts,
    token_logprobs: tokens.logprobs,
    top_logprobs: tokens.token_ids.map((_, i) => byText(tokens, i)),
    text_offset: tokens.token_texts.map((text) => {
      const start = next;
      next += text.length;
      return start;
    }),
  };
}

function joined(first: TokenLogprobs | null, second: TokenLogprobs | null): TokenLogprobs | null {
  if (first === null || second === null) return first ?? second;
  return {
    token_ids: [...first.token_ids, ...second.token_ids],
    token_texts: [...first.token_texts, ...second.token_texts],
    logprobs: [...first.logprobs, ...second.logprobs],
    likeliest: [...first.likeliest, ...second.likeliest],
  };
}

/** Choices count over all prompts: those of the first prompt, then those of the second. */
export const choiceIndex = ({ item, sample }: Pick<Choice, "item" | "sample">, n: number): number => item * n + sample;

export function completionAnswer(job: Source, body: CreateCompletion, output: CompleteOutput): Completion {
  const choices = output.choices.map((choice) => {
    const prompt = at(output.prompts, choice.item);
    const logprobs = joined(prompt.logprobs, choice.logprobs);
    return {
      index: choiceIndex(choice, body.n ?? 1),
      text: (prompt.text ?? "") + choice.text,
      logprobs: logprobs === null ? null : textLogprobs(logprobs, 0),
      finish_reason: choice.finish_reason,
    };
  });
  return { object: "text_completion", ...header(job, body.model), choices, usage: usageOf(output) };
}

const encoder = new TextEncoder();
const spelled = ({ text, logprob }: { text: string; logprob: number }) => ({
  token: text,
  logprob,
  bytes: [...encoder.encode(text)],
});

export const chatLogprobs = (tokens: TokenLogprobs): ChatLogprobs => ({
  content: tokens.token_texts.map((text, i) => ({
    ...spelled({ text, logprob: at(tokens.logprobs, i) ?? 0 }),
    top_logprobs: (at(tokens.likeliest, i) ?? []).map(spelled),
  })),
  refusal: null,
});

export function chatAnswer(job: Source, body: CreateChatCompletion, output: CompleteOutput): ChatCompletion {
  const choices = output.choices.map((choice) => ({
    index: choiceIndex(choice, body.n ?? 1),
    message: { role: "assistant" as const, content: choice.text, refusal: null },
    logprobs: choice.logprobs === null ? null : chatLogprobs(choice.logprobs),
    finish_reason: choice.finish_reason,
  }));
  return { object: "chat.completion", ...header(job, body.model), choices, usage: usageOf(output) };
}
