// A completion as server-sent events, as it grows. The Worker asks the pool for what is new; the pool holds no reader.
import { COMPLETION_WAIT_S, HEARTBEAT_MS } from "../config.ts";
import { ApiError } from "../errors.ts";
import type { DeltaPage, JobState } from "../pool/api.ts";
import type { ChatCompletionChunk, Completion, CreateChatCompletion, CreateCompletion } from "../wire/completions.ts";
import type { Choice, CompleteOutput, TokenLogprobs } from "../wire/payloads.ts";
import type { Context } from "./context.ts";
import { giveUp } from "./complete.ts";
import { chatLogprobs, choiceIndex, header, textLogprobs, usageOf } from "./completion-answer.ts";
import { jobError } from "./job-view.ts";
import { apiErrorOf } from "./outage.ts";
import { paced } from "./paced.ts";
import { outputOf } from "./results.ts";

type Asked = CreateCompletion | CreateChatCompletion;
type Chunk = Completion | ChatCompletionChunk;

/** What is new of one choice; `finish_reason` once nothing more comes. */
interface Growth {
  index: number;
  text: string;
  /** Characters before it. */
  offset: number;
  logprobs: TokenLogprobs | null;
  finish_reason: Choice["finish_reason"] | null;
}

const event = (data: object): string => `data: ${JSON.stringify(data)}\n\n`;
const DONE = "data: [DONE]\n\n";
const HEARTBEAT = ": nothing new\n\n";

function chunk(job: JobState, body: Asked, growth: Growth): Chunk {
  const { index, text, offset, logprobs, finish_reason } = growth;
  if (!("messages" in body)) {
    const choice = { index, text, logprobs: logprobs === null ? null : textLogprobs(logprobs, offset), finish_reason };
    return { object: "text_completion", ...header(job, body.model), choices: [choice], usage: null };
  }
  const role = offset === 0 ? { role: "assistant" as const } : {};
  const delta = { ...role, ...(text === "" ? {} : { content: text }) };
  const choice = { index, delta, logprobs: logprobs === null ? null : chatLogprobs(logprobs), finish_reason };
  return { object: "chat.completion.chunk", ...header(job, body.model), choices: [choice], usage: null };
}

const withUsage = (job: JobState, body: Asked, output: CompleteOutput): Chunk => {
  const shared = { ...header(job, body.model), choices: [], usage: usageOf(output) };
  return "messages" in body ? { object: "chat.completion.chunk", ...shared } : { object: "text_completion", ...shared };
};

/** What a reader has been sent. A worker that dies is replaced by one that begins anew: what it repeats is left out. */
class Sent {
  readonly #characters = new Map<number, number>();
  readonly #tokens = new Map<number, number>();
  readonly #again = new Map<number, number>();
  readonly #n: number;
  #attempt = 0;
  last = -1;

  constructor(n: number) {
    this.#n = n;
  }

  *growths(page: DeltaPage): Generator<Growth> {
    if (page.job.attempts !== this.#attempt) {
      // Its deltas are counted anew: they are read from the first on.
      this.#attempt = page.job.attempts;
      this.#again.clear();
      if (this.last >= 0) {
        this.last = -1;
        return;
      }
    }
    this.last = page.last;
    for (const piece of page.pieces) {
      const index = choiceIndex(piece, this.#n);
      const before = this.#again.get(index) ?? 0;
      this.#again.set(index, before + piece.text.length);
      const sent = this.#characters.get(index) ?? 0;
      if (before + piece.text.length <= sent) continue;
      // Of a piece that was sent in part, the tokens come with the remainder.
      const logprobs = before < sent ? null : piece.logprobs;
      yield this.#grow(index, piece.text.slice(Math.max(0, sent - before)), logprobs, null);
    }
  }

  /** What was held back, and the end. */
  remainder(choice: Choice): Growth {
    const index = choiceIndex(choice, this.#n);
    const text = choice.text.slice(this.#characters.get(index) ?? 0);
    return this.#grow(index, text, rest(choice.logprobs, this.#tokens.get(index) ?? 0), choice.finish_reason);
  }

  #grow(index: number, text: string, logprobs: TokenLogprobs | null, finish_reason: Growth["finish_reason"]): Growth {
    const offset = this.#characters.get(index) ?? 0;
    this.#characters.set(index, offset + text.length);
    this.#tokens.set(index, (this.#tokens.get(index) ?? 0) + (logprobs?.token_ids.length ?? 0));
    return { index, text, offset, logprobs, finish_reason };
  }
}

const rest = (tokens: TokenLogprobs | null, from: number): TokenLogprobs | null =>
  tokens === null
    ? null
    : {
        token_ids: tokens.token_ids.slice(from),
        token_texts: tokens.token_texts.slice(from),
        logprobs: tokens.logprobs.slice(from),
        likeliest: tokens.likeliest.slice(from),
      };

async function nextPage(ctx: Context, job: string, after: number): Promise<DeltaPage> {
  const page = await ctx.pool.deltas(ctx.project.id, job, after, HEARTBEAT_MS);
  if (page === null) throw new ApiError("not_found", `Job ${job} is gone.`);
  if (page.job.status === "failed" || page.job.status === "cancelled") throw jobError(page.job);
  return page;
}

async function* chunks(ctx: Context, job: JobState, body: Asked): AsyncGenerator<string, undefined> {
  const sent = new Sent(body.n ?? 1);
  const until = Date.now() + 1000 * COMPLETION_WAIT_S;
  for (;;) {
    const next = () => nextPage(ctx, job.id, sent.last);
    const page = await paced(next, ({ job: { status }, pieces }) => pieces.length > 0 || status === "completed");
    const growths = [...sent.growths(page)];
    yield growths.map((growth) => event(chunk(job, body, growth))).join("") || HEARTBEAT;
    const output = await outputOf(ctx, page.job);
    if (output?.kind === "complete") {
      yield output.choices.map((choice) => event(chunk(job, body, sent.remainder(choice)))).join("");
      if (body.stream_options?.include_usage === true) yield event(withUsage(job, body, output));
      yield DONE;
      return undefined;
    }
    if (sent.last < 0 && Date.now() > until) {
      throw new ApiError("unavailable", "No worker has begun to answer; see GET /v1/workers, and try again.");
    }
  }
}

/** Ends with `[DONE]`, or with an error as OpenAI's clients read it. A reader that leaves stops the work. */
export function completionStream(
  ctx: Context,
  job: JobState,
  body: Asked,
  left: AbortSignal,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  // The request is over by then: should this be lost with it, the pool notices by itself (READER_MS).
  left.addEventListener("abort", () => void giveUp(ctx, job.id).catch(() => undefined));
  const source = chunks(ctx, job, body);
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const next = await source.next();
        if (next.done === true) controller.close();
        else controller.enqueue(encoder.encode(next.value));
      } catch (error) {
        const said = apiErrorOf(error);
        if (said.code === "internal") throw error;
        controller.enqueue(encoder.encode(event(said.body())));
        controller.close();
      }
    },
  });
}
