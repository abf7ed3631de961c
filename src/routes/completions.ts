// OpenAI's completions and chat completions, and a model's tokenizer; under /m/{model} for clients that derive one address
// from another and name no model.
import { createRoute, z } from "@hono/zod-openapi";
import type { Context as HonoContext } from "hono";
import { chatAnswer, completionAnswer } from "../services/completion-answer.ts";
import { askCompletion, finished } from "../services/complete.ts";
import { completionStream } from "../services/completion-stream.ts";
import type { App } from "../services/context.ts";
import { completeOutput } from "../services/results.ts";
import { askTokenizer } from "../services/tokenize.ts";
import { ModelName } from "../wire/common.ts";
import {
  ChatCompletion,
  Completion,
  CreateChatCompletion,
  CreateCompletion,
  Detokenize,
  Detokenized,
  Tokenize,
  Tokenized,
  TokenizerInfo,
} from "../wire/completions.ts";
import { ERRORS, IdempotencyHeaders, answer, guard, jsonBody, newRouter } from "./router.ts";

const tags = ["completions"];
const Params = z.object({ model: ModelName });
const STREAM = { "text/event-stream": { schema: z.string() } };

const streamed = <T extends z.ZodType>(schema: T, description: string) => ({
  description,
  content: { "application/json": { schema }, ...STREAM },
});

const complete = createRoute({
  method: "post",
  path: "/v1/completions",
  tags,
  summary: "Continue prompts, or score them with echo and logprobs (OpenAI's completions)",
  ...guard("write"),
  request: { body: jsonBody(CreateCompletion), headers: IdempotencyHeaders },
  responses: { 200: streamed(Completion, "the completion, or chunks of it"), ...ERRORS },
});

const chat = createRoute({
  method: "post",
  path: "/v1/chat/completions",
  tags,
  summary: "Answer a conversation under the model's chat template (OpenAI's chat completions)",
  ...guard("write"),
  request: { body: jsonBody(CreateChatCompletion), headers: IdempotencyHeaders },
  responses: { 200: streamed(ChatCompletion, "the answer, or chunks of it"), ...ERRORS },
});

/** The same of the model that the path names, whatever the body says. */
const completeAt = createRoute({
  ...complete,
  path: "/m/{model}/v1/completions",
  summary: "The same, of the model that the path names",
  request: { ...complete.request, params: Params },
});

const chatAt = createRoute({
  ...chat,
  path: "/m/{model}/v1/chat/completions",
  summary: "The same, of the model that the path names",
  request: { ...chat.request, params: Params },
});

const tokenizerInfo = createRoute({
  method: "get",
  path: "/m/{model}/tokenizer_info",
  tags,
  summary: "The tokenizer's special tokens and chat template",
  ...guard("read"),
  request: { params: Params },
  responses: { 200: answer(TokenizerInfo, "the tokenizer"), ...ERRORS },
});

const tokenize = createRoute({
  method: "post",
  path: "/m/{model}/tokenize",
  tags,
  summary: "Token ids of a text",
  ...guard("write"),
  request: { params: Params, body: jsonBody(Tokenize) },
  responses: { 200: answer(Tokenized, "the tokens"), ...ERRORS },
});

const detokenize = createRoute({
  method: "post",
  path: "/m/{model}/detokenize",
  tags,
  summary: "The text of token ids",
  ...guard("write"),
  request: { params: Params, body: jsonBody(Detokenize) },
  responses: { 200: answer(Detokenized, "the text"), ...ERRORS },
});

const EVENTS = { "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store" };

async function answerCompletion(c: HonoContext<App>, body: CreateCompletion) {
  const { ctx } = c.var;
  const job = await askCompletion(ctx, body, "POST /v1/completions");
  if (body.stream === true) return c.body(completionStream(ctx, job, body, c.req.raw.signal), 200, EVENTS);
  const done = await finished(ctx, job);
  return c.json(completionAnswer(done, body, await completeOutput(ctx, done)), 200);
}

async function answerChat(c: HonoContext<App>, body: CreateChatCompletion) {
  const { ctx } = c.var;
  const job = await askCompletion(ctx, body, "POST /v1/chat/completions");
  if (body.stream === true) return c.body(completionStream(ctx, job, body, c.req.raw.signal), 200, EVENTS);
  const done = await finished(ctx, job);
  return c.json(chatAnswer(done, body, await completeOutput(ctx, done)), 200);
}

export const completions = newRouter()
  .openapi(complete, (c) => answerCompletion(c, c.req.valid("json")))
  .openapi(chat, (c) => answerChat(c, c.req.valid("json")))
  .openapi(completeAt, (c) => answerCompletion(c, { ...c.req.valid("json"), ...c.req.valid("param") }))
  .openapi(chatAt, (c) => answerChat(c, { ...c.req.valid("json"), ...c.req.valid("param") }))
  .openapi(tokenizerInfo, async (c) => {
    const { bos_token, eos_token, pad_token, chat_template } = await askTokenizer(
      c.var.ctx,
      c.req.valid("param").model,
      {},
    );
    return c.json({ bos_token, eos_token, pad_token, chat_template }, 200);
  })
  .openapi(tokenize, async (c) => {
    const { prompt, add_special_tokens } = c.req.valid("json");
    const asked = { texts: [prompt], add_special_tokens };
    const [tokens = []] = (await askTokenizer(c.var.ctx, c.req.valid("param").model, asked)).tokens;
    return c.json({ tokens, count: tokens.length }, 200);
  })
  .openapi(detokenize, async (c) => {
    const { tokens } = c.req.valid("json");
    const [prompt = ""] = (await askTokenizer(c.var.ctx, c.req.valid("param").model, { tokens: [tokens] })).texts;
    return c.json({ prompt }, 200);
  });
