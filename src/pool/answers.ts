// Whether a worker's output answers what was asked: a worker may have a fault, or be somebody's who means harm.
import type { Output, Payload, ResponseLogprobs, ScoredResponse, TokenLogprobs } from "../wire/payloads.ts";

type OutputOf<K extends Output["kind"]> = Extract<Output, { kind: K }>;
type PayloadOf<K extends Payload["kind"]> = Extract<Payload, { kind: K }>;

/** What is wrong with it, null where nothing is. `payload` is null where only R2 has it: then the output is held against
 * itself alone. */
export function problemOf(payload: Payload | null, output: Output): string | null {
  switch (output.kind) {
    case "score":
      return scoreProblem(payload?.kind === "score" ? payload : null, output);
    case "compare":
      return compareProblem(payload?.kind === "compare" ? payload : null, output);
    case "complete":
      return completeProblem(payload?.kind === "complete" ? payload : null, output);
    case "tokenize":
      return tokenizeProblem(payload?.kind === "tokenize" ? payload : null, output);
    default:
      return null;
  }
}

/** The first problem of some. */
const first = (problems: Iterable<string | null>): string | null => [...problems].find((one) => one !== null) ?? null;

function counted(what: string, asked: number | null, answered: number): string | null {
  return asked === null || asked === answered ? null : `${answered} ${what} where ${asked} were asked for`;
}

/** Log-probabilities in nats: fp32 sums of a softmax come out a little above 0 at times. */
const ROUNDING = 1e-4;

function logprobsProblem(values: readonly (number | null)[]): string | null {
  const wrong = values.find((value) => value !== null && !(value <= ROUNDING));
  return wrong === undefined ? null : `a log-probability of ${wrong}`;
}

function scoredProblem({ token_ids, token_texts, teacher_logprobs, student_logprobs }: ScoredResponse): string | null {
  const lengths = [token_texts, teacher_logprobs, student_logprobs].map(({ length }) => length);
  if (lengths.some((length) => length !== token_ids.length)) return "tokens and log-probabilities of other numbers";
  return logprobsProblem(teacher_logprobs) ?? logprobsProblem(student_logprobs);
}

function tokensProblem(said: number, responses: readonly Pick<ResponseLogprobs, "token_ids">[]): string | null {
  const there = responses.reduce((sum, { token_ids }) => sum + token_ids.length, 0);
  return said === there ? null : `${said} tokens, of which ${there} are there`;
}

function scoreProblem(payload: PayloadOf<"score"> | null, { items, tokens }: OutputOf<"score">): string | null {
  const responses = items.flat();
  return (
    counted("items", payload?.items.length ?? null, items.length) ??
    first(
      (payload?.items ?? []).map((item, i) => counted("responses", item.responses.length, items[i]?.length ?? 0)),
    ) ??
    first(responses.map(scoredProblem)) ??
    tokensProblem(tokens, responses)
  );
}

function compareProblem(payload: PayloadOf<"compare"> | null, { items }: OutputOf<"compare">): string | null {
  const answers = items.flatMap(({ teacher, student }) => [teacher, student]);
  return (
    counted("pairs", payload?.prompts.length ?? null, items.length) ??
    first(answers.map(({ scored }) => scoredProblem(scored)))
  );
}

function listedProblem({ token_ids, token_texts, logprobs, likeliest }: TokenLogprobs): string | null {
  const lengths = [token_texts, logprobs, likeliest].map(({ length }) => length);
  if (lengths.some((length) => length !== token_ids.length)) return "tokens and log-probabilities of other numbers";
  const likely = likeliest.flatMap((tokens) => tokens ?? []).map(({ logprob }) => logprob);
  return logprobsProblem(logprobs) ?? logprobsProblem(likely);
}

function completeProblem(payload: PayloadOf<"complete"> | null, output: OutputOf<"complete">): string | null {
  const { prompts, choices } = output;
  const listed = [...prompts, ...choices].flatMap(({ logprobs }) => (logprobs === null ? [] : [logprobs]));
  const inner = first(listed.map(listedProblem));
  if (inner !== null || payload === null) return inner;
  const asked = payload.items.flatMap(({ seeds }, item) => seeds.map((_, sample) => `${item} ${sample}`));
  const answered = choices.map(({ item, sample }) => `${item} ${sample}`);
  const most = payload.settings.max_new_tokens;
  return (
    counted("prompts", payload.items.length, prompts.length) ??
    counted("choices", asked.length, choices.length) ??
    (asked.join() === answered.join() ? null : "choices that were not asked for, or in another order") ??
    first(choices.map(({ num_tokens: n }) => (n <= most ? null : `${n} new tokens where ${most} were allowed`)))
  );
}

function tokenizeProblem(
  payload: PayloadOf<"tokenize"> | null,
  { tokens, texts }: OutputOf<"tokenize">,
): string | null {
  return (
    counted("token lists", payload?.texts.length ?? null, tokens.length) ??
    counted("texts", payload?.tokens.length ?? null, texts.length)
  );
}
