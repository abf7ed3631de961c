// tokenizer.json, as @huggingface/tokenizers has to be given it so that it reads every text as Python does.
import { z } from "zod";
import { Refusal } from "./refusal.ts";

/** GPT-2's pattern. The package's own, in JavaScript's `\s`, takes U+FEFF for white space and not U+0085; a pattern that
 * a file spells out is translated properly. */
const GPT2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

const ByteLevel = z.looseObject({
  type: z.literal("ByteLevel"),
  add_prefix_space: z.boolean(),
  use_regex: z.boolean().default(true),
});
const Split = z.looseObject({
  type: z.literal("Split"),
  pattern: z.object({ Regex: z.string() }),
  behavior: z.literal("Isolated"),
  invert: z.literal(false),
});
const Digits = z.looseObject({ type: z.literal("Digits"), individual_digits: z.boolean() });
const Step = z.union([ByteLevel, Split, Digits]);
const PreTokenizer = z.union([
  Step.transform((step) => [step]),
  z
    .looseObject({ type: z.literal("Sequence"), pretokenizers: z.array(Step) })
    .transform(({ pretokenizers }) => pretokenizers),
]);

/** What of a file is known to be read alike: byte-level BPE, as Llama 3's, GPT-2's, Qwen's and SmolLM's are. */
const TokenizerFile = z.looseObject({
  // NFC is not: Python's tokenizers normalise by older tables of Unicode than JavaScript does.
  normalizer: z.null(),
  pre_tokenizer: PreTokenizer,
  decoder: z.looseObject({ type: z.literal("ByteLevel") }),
  post_processor: z.unknown(),
  added_tokens: z.array(z.looseObject({ single_word: z.literal(false).default(false) })),
  // Its vocabulary and merges are large, and read by the package alone.
  model: z.looseObject({ type: z.literal("BPE"), dropout: z.null().default(null) }),
});

export function readAlike(file: unknown): { model: object; pre_tokenizer: object } {
  const parsed = TokenizerFile.safeParse(file);
  if (!parsed.success) {
    const at = parsed.error.issues[0]?.path.join(".") ?? "";
    throw new Refusal(
      "invalid_request",
      `the model's tokenizer (${at}) is of a kind that is not read alike at the edge; ask with compute "pool"`,
    );
  }
  return {
    ...parsed.data,
    pre_tokenizer: { type: "Sequence", pretokenizers: parsed.data.pre_tokenizer.flatMap(spell) },
  };
}

function spell(step: z.infer<typeof Step>): z.infer<typeof Step>[] {
  // The package's own knows the digits of ASCII alone.
  if (step.type === "Digits") return [split(step.individual_digits ? String.raw`\p{N}` : String.raw`\p{N}+`)];
  if (step.type === "Split" || !step.use_regex) return [step];
  if (step.add_prefix_space) {
    throw new Refusal(
      "invalid_request",
      'the model\'s tokenizer begins texts with a space, which is not read alike at the edge; ask with compute "pool"',
    );
  }
  return [split(GPT2), { ...step, use_regex: false }];
}

const split = (regex: string): z.infer<typeof Split> => ({
  type: "Split",
  pattern: { Regex: regex },
  behavior: "Isolated",
  invert: false,
});
