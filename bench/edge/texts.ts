// Texts of so many tokens, no two alike.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inRoot } from "../../scripts/paths.ts";
import { ModelTokenizer } from "../../src/student/tokenizer.ts";
import { seededRandom } from "../../demo/dataset/random.ts";
import type { Random } from "../../demo/dataset/random.ts";

export interface Text {
  prompt: string;
  response: string;
}

export class Texts {
  readonly tokenizer: ModelTokenizer;
  readonly #words: string[];
  readonly #random: Random;

  private constructor(tokenizer: ModelTokenizer, words: string[], seed: number) {
    this.tokenizer = tokenizer;
    this.#words = words;
    this.#random = seededRandom(seed);
  }

  /** By the tokenizer of an export. */
  static async of(folder: string, seed: number): Promise<Texts> {
    const read = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), "utf8"));
    const tokenizer = await ModelTokenizer.of(read("tokenizer.json"), read("tokenizer_config.json"));
    const rows = readFileSync(inRoot("demo", "dataset", "short-answers.jsonl"), "utf8");
    const words = [...new Set(rows.match(/[a-z]{2,}/g))].filter((word) => tokenizer.encode(` ${word}`).length === 1);
    return new Texts(tokenizer, words, seed);
  }

  /** Half prompt, half response, to be read with the template `raw`. */
  next(tokens: number): Text {
    const prompt = Math.ceil(tokens / 2);
    return { prompt: this.#write(prompt), response: this.#write(tokens - prompt) };
  }

  #write(tokens: number): string {
    const text = Array.from({ length: tokens }, () => ` ${this.#random.pick(this.#words)}`).join("");
    const found = this.tokenizer.encode(text).length;
    if (found !== tokens) throw new Error(`a text of ${tokens} words has ${found} tokens`);
    return text;
  }
}
