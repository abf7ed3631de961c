// What passes between the page and the worker in which the student runs. One order is worked on at a time.
import { either, exactly, isBytes, listOf, number, object, orNull, text } from "../../dashboard/guards.ts";
import type { Is } from "../../dashboard/guards.ts";
import type { Template } from "../../wire/common.ts";
import type { EdgeModel } from "../../wire/exports.ts";
import { isModel } from "../answers.ts";

export type Provider = "webgpu" | "wasm";

export interface LoadedFile {
  name: string;
  bytes: ArrayBuffer;
}

export interface LoadOrder {
  type: "load";
  model: EdgeModel;
  files: LoadedFile[];
  provider: Provider;
}

export interface AnswerOrder {
  type: "answer";
  prompt: string;
  template: Template;
  most: number;
}

export interface ScoreOrder {
  type: "score";
  prompt: string;
  template: Template;
  response: string;
}

/** Ends the answer under way, after the token that is being computed. */
export interface StopOrder {
  type: "stop";
}

export type Work = LoadOrder | AnswerOrder | ScoreOrder;
export type Order = Work | StopOrder;

/** A token, its text and its log-probability by the student. */
export interface Token {
  id: number;
  text: string;
  logprob: number;
}

export interface Loaded {
  type: "loaded";
  /** Of the wasm runtime; null on a GPU. */
  threads: number | null;
}

export interface Streamed {
  type: "token";
  token: Token;
}

export interface Answered {
  type: "answered";
  response: string;
  reason: "stop" | "length" | "stopped";
  promptTokens: number;
  /** Until the first token, seconds. */
  first: number;
  /** From there to the last one. */
  rest: number;
}

export interface Scored {
  type: "scored";
  tokens: Token[];
}

export interface Refused {
  type: "refused";
  message: string;
}

export type Result = Loaded | Answered | Scored | Refused;
export type Report = Result | Streamed;

const isTemplate: Is<Template> = either(exactly("chat"), either(exactly("alpaca"), exactly("raw")));

const isLoad = object<LoadOrder>({
  type: exactly("load"),
  model: isModel,
  files: listOf(object<LoadedFile>({ name: text, bytes: isBytes })),
  provider: either(exactly("webgpu"), exactly("wasm")),
});
const isAnswer = object<AnswerOrder>({ type: exactly("answer"), prompt: text, template: isTemplate, most: number });
const isScore = object<ScoreOrder>({ type: exactly("score"), prompt: text, template: isTemplate, response: text });
const isStop = object<StopOrder>({ type: exactly("stop") });

export const isOrder: Is<Order> = either(either(isLoad, isAnswer), either(isScore, isStop));

const isToken = object<Token>({ id: number, text, logprob: number });

export const isLoaded = object<Loaded>({ type: exactly("loaded"), threads: orNull(number) });
export const isStreamed = object<Streamed>({ type: exactly("token"), token: isToken });
export const isAnswered = object<Answered>({
  type: exactly("answered"),
  response: text,
  reason: either(exactly("stop"), either(exactly("length"), exactly("stopped"))),
  promptTokens: number,
  first: number,
  rest: number,
});
export const isScored = object<Scored>({ type: exactly("scored"), tokens: listOf(isToken) });
export const isRefused = object<Refused>({ type: exactly("refused"), message: text });
