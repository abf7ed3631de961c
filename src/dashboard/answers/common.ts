// What the answers of several resources have in common, and the guard of each.
import type { Failure, Message, Prompt } from "../../wire/common.ts";
import type { EvaluationMetrics } from "../../wire/evaluations.ts";
import type { Generation } from "../../wire/generation.ts";
import { either, flag, listOf, number, object, text } from "../guards.ts";
import type { Is, Read } from "../guards.ts";

export interface List<T> {
  data: T[];
  has_more: boolean;
}

export type Interval = NonNullable<EvaluationMetrics["exact_match"]>;

export const page = <T>(is: Is<T>): Is<List<T>> => object<List<T>>({ data: listOf(is), has_more: flag });

export const isInterval = object<Interval>({ mean: number, low: number, high: number, n: number });

export const isGeneration = object<Read<Generation>>({
  max_new_tokens: number,
  temperature: number,
  top_p: number,
  top_k: number,
  stop: listOf(text),
  seeds: listOf(number),
});

export const isFailure = object<Failure>({ code: text, message: text, retryable: flag });

export const isPrompt: Is<Read<Prompt>> = either(text, listOf(object<Read<Message>>({ role: text, content: text })));

/** The body of an answer that is not 2xx; a proxy on the way may have sent something else. */
export const isProblem = object<{ error: { message: string } }>({ error: object({ message: text }) });
