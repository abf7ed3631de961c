// OpenAI's completions and chat completions, as its clients send and read them. Fields of theirs that change what comes
// back are honoured or refused, never ignored.
import { z } from "zod";
import { ModelName, text } from "./common.ts";

const MAX_CHOICES = 128;

/** A field that may be sent with the one value that changes nothing. */
const only = <const T extends number | boolean | null>(...values: T[]) =>
  z.union(values.map((value) => z.literal(value))).optional();
const nullable = <T extends z.ZodType>(schema: T) => z.union([schema, z.null()]).optional();

const Stop = z.union([text(100).min(1), z.array(text(100).min(1)).max(8)]);

const shared = {
  model: ModelName,
  temperature: nullable(z.number().min(0).max(10)),
  top_p: nullable(z.number().gt(0).max(1)),
  top_k: nullable(z.int().min(0).max(1_000_000)),
  n: nullable(z.int().min(1).max(MAX_CHOICES)),
  stop: nullable(Stop),
  seed: nullable(z.int()),
  stream: nullable(z.boolean()),
  stream_options: nullable(z.strictObject({ include_usage: z.boolean().optional() })),
  frequency_penalty: only(0, null),
  presence_penalty: only(0, null),
  logit_bias: nullable(z.strictObject({})),
  user: z.string().max(512).optional(),
};

const MaxTokens = z.int().min(0).max(16_384);
const TokenPrompt = z.array(z.int().min(0)).min(1).max(100_000);
const TextPrompt = text(1_000_000);

export const CreateCompletion = z
  .strictObject({
    ...shared,
    prompt: z.union([
      TextPrompt,
      z.array(TextPrompt).min(1).max(MAX_CHOICES),
      TokenPrompt,
      z.array(TokenPrompt).min(1).max(MAX_CHOICES),
    ]),
    max_tokens: nullable(MaxTokens).meta({
      description: "16 where it is not given; 0 with echo scores the prompt alone",
    }),
    echo: nullable(z.boolean()),
    logprobs: nullable(z.int().min(0).max(20)),
    best_of: only(1, null),
    suffix: only(null),
  })
  .meta({ id: "CreateCompletion", description: "what OpenAI's completions take, and `top_k`" });

const TextPart = z.strictObject({ type: z.enum(["text"]), text: text(200_000) });

const ChatMessage = z
  .strictObject({
    role: z.enum(["system", "developer", "user", "assistant"]),
    content: z.union([text(200_000), z.array(TextPart).min(1).max(64)]),
    name: z.string().max(64).optional(),
  })
  .meta({ id: "ChatMessage" });

export const CreateChatCompletion = z
  .strictObject({
    ...shared,
    messages: z.array(ChatMessage).min(1).max(256),
    max_tokens: nullable(MaxTokens.min(1)),
    max_completion_tokens: nullable(MaxTokens.min(1)),
    logprobs: nullable(z.boolean()),
    top_logprobs: nullable(z.int().min(0).max(20)),
    response_format: nullable(z.strictObject({ type: z.enum(["text"]) })),
    store: only(false, null),
  })
  .meta({ id: "CreateChatCompletion", description: "what OpenAI's chat completions take, and `top_k`" });

const FinishReason = z.union([z.enum(["stop", "length"]), z.null()]);
const Usage = z
  .strictObject({ prompt_tokens: z.int().min(0), completion_tokens: z.int().min(0), total_tokens: z.int().min(0) })
  .meta({ id: "CompletionUsage" });

export const CompletionLogprobs = z
  .strictObject({
    tokens: z.array(z.string()),
    token_logprobs: z.array(z.union([z.number(), z.null()])),
    top_logprobs: z.array(z.union([z.record(z.string(), z.number()), z.null()])),
    text_offset: z.array(z.int().min(0)),
  })
  .meta({ id: "CompletionLogprobs" });

const CompletionChoice = z
  .strictObject({
    index: z.int().min(0),
    text: z.string(),
    logprobs: z.union([CompletionLogprobs, z.null()]),
    finish_reason: FinishReason,
  })
  .meta({ id: "CompletionChoice" });

const base = { id: z.string(), created: z.int(), model: z.string(), usage: z.union([Usage, z.null()]) };

/** Also a chunk of a stream. */
export const Completion = z
  .strictObject({ ...base, object: z.enum(["text_completion"]), choices: z.array(CompletionChoice) })
  .meta({ id: "Completion" });

const likely = { token: z.string(), logprob: z.number(), bytes: z.union([z.array(z.int()), z.null()]) };

export const ChatLogprobs = z
  .strictObject({
    content: z.array(z.strictObject({ ...likely, top_logprobs: z.array(z.strictObject(likely)) })),
    refusal: z.null(),
  })
  .meta({ id: "ChatLogprobs" });

const chatChoice = {
  index: z.int().min(0),
  logprobs: z.union([ChatLogprobs, z.null()]),
  finish_reason: FinishReason,
};

export const ChatCompletion = z
  .strictObject({
    ...base,
    object: z.enum(["chat.completion"]),
    choices: z.array(
      z.strictObject({
        ...chatChoice,
        message: z.strictObject({ role: z.enum(["assistant"]), content: z.string(), refusal: z.null() }),
      }),
    ),
  })
  .meta({ id: "ChatCompletion" });

export const ChatCompletionChunk = z
  .strictObject({
    ...base,
    object: z.enum(["chat.completion.chunk"]),
    choices: z.array(
      z.strictObject({
        ...chatChoice,
        delta: z.strictObject({ role: z.enum(["assistant"]).optional(), content: z.string().optional() }),
      }),
    ),
  })
  .meta({ id: "ChatCompletionChunk" });

export const Tokenize = z
  .strictObject({ prompt: TextPrompt, add_special_tokens: z.boolean().default(true), model: ModelName.optional() })
  .meta({ id: "Tokenize" });

export const Tokenized = z.strictObject({ tokens: z.array(z.int()), count: z.int().min(0) }).meta({ id: "Tokenized" });

export const Detokenize = z
  .strictObject({ tokens: z.array(z.int().min(0)).max(100_000), model: ModelName.optional() })
  .meta({ id: "Detokenize" });

export const Detokenized = z.strictObject({ prompt: z.string() }).meta({ id: "Detokenized" });

const SpecialToken = z.union([z.string(), z.null()]);
export const TokenizerInfo = z
  .strictObject({
    bos_token: SpecialToken,
    eos_token: SpecialToken,
    pad_token: SpecialToken,
    chat_template: z.union([z.string(), z.null()]),
  })
  .meta({ id: "TokenizerInfo" });

export type CreateCompletion = z.infer<typeof CreateCompletion>;
export type CreateChatCompletion = z.infer<typeof CreateChatCompletion>;
export type Completion = z.infer<typeof Completion>;
export type CompletionLogprobs = z.infer<typeof CompletionLogprobs>;
export type ChatCompletion = z.infer<typeof ChatCompletion>;
export type ChatCompletionChunk = z.infer<typeof ChatCompletionChunk>;
export type ChatLogprobs = z.infer<typeof ChatLogprobs>;
