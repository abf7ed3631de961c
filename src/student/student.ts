// One loaded model: its tokenizer and its session, and how the two score and answer.
import type { Prompt, Template } from "../wire/common.ts";
import type { EdgeModel } from "../wire/exports.ts";
import type { ResponseLogprobs } from "../wire/payloads.ts";
import { isShared } from "./reads.ts";
import type { Group } from "./reads.ts";
import type { Runtime } from "./runtime.ts";
import { encodePrompt, encodeResponse, join } from "./sequences.ts";
import { Session } from "./session.ts";
import type { Likely } from "./session.ts";
import { ModelTokenizer } from "./tokenizer.ts";
import { joined } from "./weights.ts";
import { Written } from "./written.ts";
import type { FinishReason } from "./written.ts";

/** The files of an export. */
export interface StudentFiles {
  names: readonly string[];
  /** The bytes of one of them, verified, in pieces that whoever reads them may use up. */
  read(name: string): Promise<Uint8Array<ArrayBuffer>[]>;
}

export interface Scoring {
  template: Template;
  /** Tokens that a sequence may have: the shorter context of the two models. */
  maxLength: number;
  items: { prompt: Prompt; responses: string[] }[];
}

/** Greedy answers: the likeliest token each time, ties by the lowest id. */
export interface Answering {
  maxNewTokens: number;
  stop: string[];
}

export interface Answered {
  response: string;
  finish_reason: FinishReason;
  num_tokens: number;
}

/** Tokens that an answer to a prompt of `length` tokens may have. */
export const roomFor = (model: EdgeModel, length: number, maxNewTokens: number): number =>
  Math.min(maxNewTokens, model.context_length - length);

export class Student {
  readonly #model: EdgeModel;
  readonly #tokenizer: ModelTokenizer;
  readonly #session: Session;

  private constructor(model: EdgeModel, tokenizer: ModelTokenizer, session: Session) {
    this.#model = model;
    this.#tokenizer = tokenizer;
    this.#session = session;
  }

  /** `runtime` is asked for once the files are there. */
  static async load(model: EdgeModel, files: StudentFiles, runtime: () => Promise<Runtime>): Promise<Student> {
    const tokenizer = await ModelTokenizer.of(
      await json(files, "tokenizer.json"),
      await json(files, "tokenizer_config.json"),
    );
    const graph = await whole(files, "student.onnx");
    const names = files.names.filter((name) => name.startsWith("weights-"));
    const weights = await Promise.all(names.map(async (name) => ({ name, pieces: await files.read(name) })));
    return new Student(model, tokenizer, await Session.of(await runtime(), model, graph, weights));
  }

  release(): Promise<void> {
    return this.#session.release();
  }

  disagreement(): Promise<number> {
    return this.#session.disagreement();
  }

  groups({ items, template, maxLength }: Scoring): Group[] {
    const limit = Math.min(maxLength, this.#model.context_length);
    return items.map((item) => {
      const prompt = encodePrompt(this.#tokenizer, item.prompt, template, limit);
      const sequences = item.responses.map((response) =>
        join(prompt, encodeResponse(this.#tokenizer, response, template, this.#model.end_id), limit),
      );
      return { prompt, sequences };
    });
  }

  async score(group: Group): Promise<ResponseLogprobs[]> {
    const logprobs = isShared(group) ? await this.#scoreBehind(group) : await this.#scoreWhole(group);
    return group.sequences.map(({ response }, i) => ({
      token_ids: response,
      token_texts: response.map((id) => this.text([id])),
      logprobs: logprobs[i] ?? [],
    }));
  }

  /** Each sequence from its beginning. */
  async #scoreWhole({ sequences }: Group): Promise<number[][]> {
    const found: number[][] = [];
    for (const { prompt, response } of sequences) {
      const asked = response.map((target, i) => ({ row: prompt.length - 1 + i, target }));
      const ids = [...prompt, ...response].slice(0, -1);
      found.push(response.length === 0 ? [] : (await this.#session.read(ids, null, asked)).logprobs);
    }
    return found;
  }

  /** The prompt once, which tells each response's first token; each response goes on from there. */
  async #scoreBehind({ prompt, sequences }: Group): Promise<number[][]> {
    const first = sequences.map(({ response: [target = 0] }) => ({ row: prompt.length - 1, target }));
    const read = await this.#session.read(prompt, null, first);
    const found: number[][] = [];
    for (const [i, { response }] of sequences.entries()) {
      const asked = response.slice(1).map((target, row) => ({ row, target }));
      const rest = await this.#session.read(response.slice(0, -1), read.kept, asked);
      found.push([...read.logprobs.slice(i, i + 1), ...rest.logprobs].slice(0, response.length));
    }
    return found;
  }

  prompt(prompt: Prompt, template: Template): number[] {
    return encodePrompt(this.#tokenizer, prompt, template, this.#model.context_length);
  }

  /** An answer, each token as it comes, the one that ends it included. */
  async *write(prompt: number[], { maxNewTokens, stop }: Answering): AsyncGenerator<Likely, Answered, undefined> {
    const written = new Written({
      decode: (ids) => this.#tokenizer.decode(ids, { special: false }),
      stopIds: new Set(this.#model.stop_ids),
      stop,
      room: roomFor(this.#model, prompt.length, maxNewTokens),
    });
    let next = prompt;
    let past = null;
    while (written.end === null) {
      const read = await this.#session.read(next, past, [{ row: next.length - 1, target: 0 }]);
      const [token] = read.likeliest;
      if (token === undefined) throw new Error("the graph tells no likeliest token");
      written.add(token.id);
      yield token;
      next = [token.id];
      past = read.kept;
    }
    return { response: written.end.text, finish_reason: written.end.reason, num_tokens: written.ids.length };
  }

  async answer(prompt: number[], answering: Answering): Promise<Answered> {
    const tokens = this.write(prompt, answering);
    for (;;) {
      const step = await tokens.next();
      if (step.done === true) return step.value;
    }
  }

  /** The text of these tokens, special ones included. */
  text(ids: readonly number[]): string {
    return this.#tokenizer.decode(ids, { special: true });
  }
}

const whole = async (files: StudentFiles, name: string): Promise<Uint8Array<ArrayBuffer>> =>
  joined(await files.read(name));

async function json(files: StudentFiles, name: string): Promise<unknown> {
  return JSON.parse(new TextDecoder().decode(await whole(files, name)));
}
