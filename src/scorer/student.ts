// One loaded model: its tokenizer and its session, and how the two score and answer.
import { EDGE_PIECE_TOKENS } from "../config.ts";
import type { FileRef } from "../wire/blobs.ts";
import type { EdgeArtifact, EdgeModel } from "../wire/exports.ts";
import type { EdgeGenerated, GenerateAsk, ScoreAsk } from "./api.ts";
import type { ResponseLogprobs } from "../wire/payloads.ts";
import { checkCompute, checkMemory, costOf, memoryOf } from "./budget.ts";
import { readFile, readWhole } from "./files.ts";
import { reserve, runtime } from "./runtime.ts";
import { encodePrompt, encodeResponse, join } from "./sequences.ts";
import type { Sequence } from "./sequences.ts";
import { Session } from "./session.ts";
import { ModelTokenizer } from "./tokenizer.ts";
import { handOver } from "./weights.ts";
import { Written } from "./written.ts";

/** A prompt's sequences, one for each response. */
export interface Group {
  prompt: number[];
  sequences: Sequence[];
}

export class Student {
  readonly #artifact: EdgeArtifact;
  readonly #model: EdgeModel;
  readonly #tokenizer: ModelTokenizer;
  readonly #session: Session;

  private constructor(artifact: EdgeArtifact, tokenizer: ModelTokenizer, session: Session) {
    this.#artifact = artifact;
    this.#model = artifact.model;
    this.#tokenizer = tokenizer;
    this.#session = session;
  }

  /** Refuses a model that would not fit, before anything of it is read. */
  static async load(bucket: R2Bucket, artifact: EdgeArtifact): Promise<Student> {
    const { model, files } = artifact;
    checkMemory(artifact, EDGE_PIECE_TOKENS);
    const tokenizer = await ModelTokenizer.of(
      await json(bucket, named(files, "tokenizer.json")),
      await json(bucket, named(files, "tokenizer_config.json")),
    );
    const ort = await runtime();
    const graph = await readWhole(bucket, named(files, "student.onnx"));
    const weights = files.filter(({ name }) => name.startsWith("weights-"));
    const read = await Promise.all(
      weights.map(async (file) => ({ name: file.name, pieces: await readFile(bucket, file) })),
    );
    reserve(memoryOf(artifact, EDGE_PIECE_TOKENS).heap);
    return new Student(artifact, tokenizer, await Session.of(ort, model, graph, handOver(read)));
  }

  release(): Promise<void> {
    return this.#session.release();
  }

  /** What of an ask is to be read; refused where that is too much. */
  groups({ items, template, maxLength }: ScoreAsk): Group[] {
    const limit = Math.min(maxLength, this.#model.context_length);
    const groups = items.map((item) => {
      const prompt = encodePrompt(this.#tokenizer, item.prompt, template, limit);
      const sequences = item.responses.map((response) =>
        join(prompt, encodeResponse(this.#tokenizer, response, template, this.#model.end_id), limit),
      );
      return { prompt, sequences };
    });
    const lengths = groups.flatMap(({ sequences }) => sequences.map(lengthOf));
    const reads = groups.flatMap((group) => (isShared(group) ? sharedReads(group) : wholeReads(group)));
    this.#check(lengths, reads);
    return groups;
  }

  async score(group: Group): Promise<ResponseLogprobs[]> {
    const logprobs = isShared(group) ? await this.#scoreBehind(group) : await this.#scoreWhole(group);
    return group.sequences.map(({ response }, i) => ({
      token_ids: response,
      token_texts: response.map((id) => this.#tokenizer.decode([id], { special: true })),
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

  /** As `groups`; an answer may turn out shorter than what is allowed for. */
  prompts({ prompts, template, maxNewTokens }: GenerateAsk): number[][] {
    const encoded = prompts.map((prompt) =>
      encodePrompt(this.#tokenizer, prompt, template, this.#model.context_length),
    );
    const lengths = encoded.map((prompt) => prompt.length + this.#room(prompt, maxNewTokens));
    const reads = encoded.flatMap((prompt) => [
      prompt.length,
      ...Array.from({ length: this.#room(prompt, maxNewTokens) - 1 }, () => 1),
    ]);
    this.#check(lengths, reads);
    return encoded;
  }

  async generate(prompt: number[], { maxNewTokens, stop }: GenerateAsk): Promise<EdgeGenerated> {
    const written = new Written({
      decode: (ids) => this.#tokenizer.decode(ids, { special: false }),
      stopIds: new Set(this.#model.stop_ids),
      stop,
      room: this.#room(prompt, maxNewTokens),
    });
    let next = prompt;
    let past = null;
    while (written.end === null) {
      const read = await this.#session.read(next, past, [{ row: next.length - 1, target: 0 }]);
      const [token = 0] = read.likeliest;
      written.add(token);
      next = [token];
      past = read.kept;
    }
    return { response: written.end.text, finish_reason: written.end.reason, num_tokens: written.ids.length };
  }

  #room(prompt: readonly number[], maxNewTokens: number): number {
    return Math.min(maxNewTokens, this.#model.context_length - prompt.length);
  }

  #check(lengths: readonly number[], reads: readonly number[]): void {
    checkMemory(this.#artifact, Math.max(...lengths, EDGE_PIECE_TOKENS));
    checkCompute(this.#model, reads);
  }
}

/** Tokens that are read behind one another, if every response goes on from the prompt, or if each is read with it. */
const sharedReads = ({ prompt, sequences }: Group): number[] => [
  prompt.length,
  ...sequences.map(({ response }) => Math.max(0, response.length - 1)),
];
const wholeReads = ({ sequences }: Group): number[] =>
  sequences.map((sequence) => (sequence.response.length === 0 ? 0 : lengthOf(sequence) - 1));
const isShared = (group: Group): boolean => costOf(sharedReads(group)) < costOf(wholeReads(group));

const lengthOf = ({ prompt, response }: Sequence): number => prompt.length + response.length;

function named(files: readonly FileRef[], name: string): FileRef {
  const file = files.find((one) => one.name === name);
  if (file === undefined) throw new Error(`the artifact has no ${name}`);
  return file;
}

async function json(bucket: R2Bucket, file: FileRef): Promise<unknown> {
  return JSON.parse(new TextDecoder().decode(await readWhole(bucket, file)));
}
