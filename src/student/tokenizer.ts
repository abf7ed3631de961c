// A model's tokenizer and chat template, as Python's transformers read them.
import type { Tokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import type { Message } from "../wire/common.ts";
import { Refusal } from "./refusal.ts";
import type { Tokens } from "./sequences.ts";
import { readAlike } from "./tokenizer-file.ts";

/** A special token is its text, or an object that has it. */
const SpecialToken = z
  .union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content), z.null()])
  .default(null);

const TokenizerConfig = z.object({
  chat_template: z.union([z.string(), z.null()]).default(null),
  bos_token: SpecialToken,
  eos_token: SpecialToken,
  pad_token: SpecialToken,
  unk_token: SpecialToken,
  clean_up_tokenization_spaces: z.boolean().default(false),
});

/** What a template does about white space, of which Python and JavaScript disagree on a few characters. */
const TRIMS = /\b(trim|[lr]?strip|r?split)\b/;
const DISAGREED = /[\u001c-\u001f\u0085\ufeff]/;
const TRIMMED_OTHERWISE =
  'U+001C to U+001F, U+0085 and U+FEFF would be trimmed in another way at the edge; ask with compute "pool"';

export class ModelTokenizer implements Tokens {
  readonly #tokenizer: Tokenizer;
  readonly #render: ((turns: readonly Message[]) => string) | null;

  private constructor(tokenizer: Tokenizer, render: ((turns: readonly Message[]) => string) | null) {
    this.#tokenizer = tokenizer;
    this.#render = render;
  }

  /** Of tokenizer.json and tokenizer_config.json. Refuses a tokenizer that would not be read as Python reads it. */
  static async of(file: unknown, settings: unknown): Promise<ModelTokenizer> {
    const [{ BPE, Tokenizer }, { Template }] = await Promise.all([
      import("@huggingface/tokenizers"),
      import("@huggingface/jinja"),
    ]);
    const { chat_template, clean_up_tokenization_spaces, ...special } = TokenizerConfig.parse(settings);
    const read = readAlike(file);
    const tokenizer = new Tokenizer(read, { clean_up_tokenization_spaces });
    // It has made tables of them, and would keep them beside those: half of what it takes.
    Object.assign(read.model, { vocab: {}, merges: [] });
    if (tokenizer.model instanceof BPE) tokenizer.model.merges = [];
    if (chat_template === null) return new ModelTokenizer(tokenizer, null);
    const template = new Template(chat_template);
    // What the model does not have is undefined in a template, as in Python.
    const known = Object.fromEntries(Object.entries(special).filter(([, token]) => token !== null));
    const trims = TRIMS.test(chat_template);
    return new ModelTokenizer(tokenizer, (turns) => {
      if (trims && turns.some(({ content }) => DISAGREED.test(content))) throw new Error(TRIMMED_OTHERWISE);
      return template.render({ ...known, messages: turns, tools: null, documents: null, add_generation_prompt: true });
    });
  }

  encode(text: string): number[] {
    return this.#tokenizer.encode(text, { add_special_tokens: false }).ids;
  }

  chat(turns: readonly Message[]): string {
    if (this.#render === null) {
      throw new Refusal("invalid_request", "the model has no chat template; use the template alpaca or raw");
    }
    try {
      return this.#render(turns);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Refusal("invalid_request", `the model's chat template refuses these turns: ${reason}`);
    }
  }

  /** The text of these tokens, special ones included unless they are to be left out. */
  decode(ids: readonly number[], options: { special: boolean }): string {
    if (ids.length === 0) return "";
    return this.#tokenizer.decode([...ids], { skip_special_tokens: !options.special });
  }
}
