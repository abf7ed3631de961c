// A model's tokenizer over HTTP: a worker has it.
import { DEFAULT_WAIT_S } from "../config.ts";
import { ApiError } from "../errors.ts";
import type { TokenizeOutput, TokenizePayload } from "../wire/payloads.ts";
import type { Context } from "./context.ts";
import { newId } from "./identity.ts";
import { resolveModel } from "./models.ts";
import { outputOf } from "./results.ts";
import { expectedTokens } from "./expected-tokens.ts";
import { settled, submit } from "./submit.ts";

type Question = Partial<Pick<TokenizePayload, "texts" | "tokens" | "add_special_tokens">>;

/** What the model's tokenizer makes of texts or tokens; both empty: what it is. */
export async function askTokenizer(ctx: Context, name: string, question: Question): Promise<TokenizeOutput> {
  const model = await resolveModel(ctx, name, "model");
  const asked = { texts: [], tokens: [], add_special_tokens: true, ...question };
  const payload: TokenizePayload = { kind: "tokenize", model: model.ref, ...asked };
  const cost = expectedTokens(asked);
  const job = await submit(ctx, { id: newId("job"), asked, request: null, payload, models: [model.ref], cost });
  const output = await outputOf(ctx, await settled(ctx, job, DEFAULT_WAIT_S));
  if (output?.kind === "tokenize") return output;
  throw new ApiError("unavailable", "No worker has answered; see GET /v1/workers, and try again.", { retryAfter: 5 });
}
