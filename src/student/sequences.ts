// From prompts and responses to token ids: rendered prompt and response are encoded apart, never jointly.
import type { Message, Prompt, Template } from "../wire/common.ts";
import { Refusal } from "./refusal.ts";

/** What a model's tokenizer does. */
export interface Tokens {
  /** Ids of exactly this text: nothing is added before or after it. */
  encode(text: string): number[];
  /** The text that the model's own chat template makes of the turns. */
  chat(turns: readonly Message[]): string;
}

/** What is scored: the prompt's ids and the response's, with what closes it. */
export interface Sequence {
  prompt: number[];
  response: number[];
}

// The no-input form of the template that Stanford Alpaca published and instruction tuning took over.
const alpaca = (instruction: string): string =>
  "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n" +
  `### Instruction:\n${instruction}\n\n### Response:\n`;

/** The text that the model reads before the response. */
export function render(tokens: Tokens, prompt: Prompt, template: Template): string {
  if (template === "chat")
    return tokens.chat(typeof prompt === "string" ? [{ role: "user", content: prompt }] : prompt);
  const content = singleTurn(prompt, template);
  return template === "raw" ? content : alpaca(content);
}

function singleTurn(prompt: Prompt, template: Template): string {
  if (typeof prompt === "string") return prompt;
  const [turn, ...more] = prompt;
  if (turn?.role === "user" && more.length === 0) return turn.content;
  throw new Refusal(
    "invalid_request",
    `the template ${template} takes one user turn; send several turns with the template chat`,
  );
}

/** Ids of the rendered prompt, which leave room for one token of a response at the least. */
export function encodePrompt(tokens: Tokens, prompt: Prompt, template: Template, maxLength: number): number[] {
  const ids = tokens.encode(render(tokens, prompt, template));
  if (ids.length === 0) {
    throw new Refusal("invalid_request", "the prompt has no tokens; write at least one visible character");
  }
  if (ids.length >= maxLength) {
    throw new Refusal(
      "prompt_too_long",
      `the prompt has ${ids.length} tokens; the model's context of ${maxLength} must hold it and a response`,
    );
  }
  return ids;
}

/** Ids of the response; `chat` and `alpaca` close it with one end token, `raw` takes it as given. */
export function encodeResponse(tokens: Tokens, response: string, template: Template, endId: number | null): number[] {
  const ids = tokens.encode(response);
  if (template === "raw") return ids;
  if (endId === null) {
    throw new Refusal("invalid_request", "the model's tokenizer has no end token; use the template raw");
  }
  return [...ids, endId];
}

/** Cut at `maxLength` tokens: only the response is cut, and with it goes its end token. */
export const join = (prompt: number[], response: readonly number[], maxLength: number): Sequence => ({
  prompt,
  response: response.slice(0, maxLength - prompt.length),
});
