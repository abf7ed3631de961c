// Log-probabilities that were computed before. A key names all that they depend on, as the frozen teacher's cache does:
// there the token ids, here what those are made of, so that finding them needs no tokenizer.
import { KNOWN_CACHE_MS, KNOWN_CACHE_TOKENS } from "../config.ts";
import { findLogprobs, forgetLogprobs, putLogprobs } from "../store/logprobs.ts";
import type { Prompt, Template } from "../wire/common.ts";
import type { Precision } from "../wire/exports.ts";
import type { ResponseLogprobs, ScoredResponse } from "../wire/payloads.ts";
import type { Context } from "./context.ts";
import { digest } from "./identity.ts";
import { Lately } from "./lately.ts";
import type { ResolvedModel } from "./models.ts";
import type { Pair } from "./score.ts";

/** Tokens, with their texts about 100 bytes each. What is known never changes; only that it is deleted shows late. */
const lately = new Lately<ResponseLogprobs>({
  ms: KNOWN_CACHE_MS,
  size: KNOWN_CACHE_TOKENS,
  sizeOf: ({ token_ids: ids }) => ids.length,
});

/** Raised when the numbers of equal keys change. */
const FORMAT = 1;

export interface Sequences {
  template: Template;
  /** Tokens that a sequence may have: the shorter context of the two models. */
  maxLength: number;
  items: readonly { prompt: Prompt; responses: readonly string[] }[];
}

/** A worker's fp32, or an export, whose numbers differ from it. */
export type Source = "pool" | Precision;

export const maxLengthOf = ({ teacher, student }: Pair): number =>
  Math.min(teacher.facts.context_length, student.facts.context_length);

const keyOf = ({ facts }: ResolvedModel, source: Source, sequence: unknown): Promise<string> =>
  digest([FORMAT, facts.weights_digest, facts.tokenizer_digest, facts.template_digest, source, sequence]);

/** By item, then by response. */
export const keysOf = (model: ResolvedModel, source: Source, sequences: Sequences): Promise<string[][]> => {
  const { template, maxLength, items } = sequences;
  return Promise.all(
    items.map(({ prompt, responses }) =>
      Promise.all(responses.map((response) => keyOf(model, source, { template, maxLength, prompt, response }))),
    ),
  );
};

/** Of each model by item, then by response; null where they are not known. */
export async function known(
  ctx: Context,
  models: readonly ResolvedModel[],
  source: Source,
  sequences: Sequences,
): Promise<(ResponseLogprobs | null)[][][]> {
  const keys = await Promise.all(models.map((model) => keysOf(model, source, sequences)));
  const found = await find(ctx, keys.flat(2));
  return keys.map((items) => items.map((item) => item.map((key) => found.get(key) ?? null)));
}

const placeOf = (ctx: Context, key: string): string => `${ctx.project.id} ${key}`;

/** From this isolate's memory, the others from the record. */
async function find(ctx: Context, keys: readonly string[]): Promise<Map<string, ResponseLogprobs>> {
  const found = new Map<string, ResponseLogprobs>();
  for (const key of keys) {
    const value = lately.get(placeOf(ctx, key));
    if (value !== null) found.set(key, value);
  }
  const missing = keys.filter((key) => !found.has(key));
  if (missing.length === 0) return found;
  for (const [key, value] of await findLogprobs(ctx.db, ctx.project.id, missing)) {
    found.set(key, value);
    lately.set(placeOf(ctx, key), value);
  }
  return found;
}

/** Deletes all of the project's, as where a data set of its goes. */
export async function forgetKnown(ctx: Context): Promise<void> {
  await forgetLogprobs(ctx.db, ctx.project.id);
  lately.deleteAll(`${ctx.project.id} `);
}

/** Keeps what was computed; `values` by item, then by response. */
export async function remember(
  ctx: Context,
  model: ResolvedModel,
  source: Source,
  sequences: Sequences,
  values: readonly (readonly (ResponseLogprobs | null)[])[],
): Promise<void> {
  const keys = await keysOf(model, source, sequences);
  const createdAt = Date.now();
  const rows = keys.flatMap((item, i) =>
    item.flatMap((key, j) => {
      const body = values[i]?.[j] ?? null;
      return body === null
        ? []
        : [{ project: ctx.project.id, key, weightsDigest: model.facts.weights_digest, body, createdAt }];
    }),
  );
  await putLogprobs(ctx.db, rows);
}

/** Both models' numbers as one answer; the tokens are the same, since the tokenizers are. */
export const joined = (teacher: ResponseLogprobs, student: ResponseLogprobs): ScoredResponse => ({
  token_ids: student.token_ids,
  token_texts: student.token_texts,
  teacher_logprobs: teacher.logprobs,
  student_logprobs: student.logprobs,
});

/** One model's share of a worker's answer. */
export const shareOf = (scored: ScoredResponse, role: "teacher" | "student"): ResponseLogprobs => ({
  token_ids: scored.token_ids,
  token_texts: scored.token_texts,
  logprobs: role === "teacher" ? scored.teacher_logprobs : scored.student_logprobs,
});
