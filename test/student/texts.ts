// Texts in many scripts, full of what tokenizers differ in; the same ones every time.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { inRoot } from "../../scripts/paths.ts";
import type { Message } from "../../src/wire/common.ts";

export const sample = <T>(arbitrary: fc.Arbitrary<T>, count: number): T[] =>
  fc.sample(arbitrary, { numRuns: count, seed: 71 });

/** First and last code point of scripts and of blocks of symbols. */
const BLOCKS: [number, number][] = [
  [0x20, 0x7e], // ASCII
  [0x00, 0x1f], // controls
  [0x7f, 0xa0], // more of them, U+0085 and U+00A0
  [0xa1, 0x24f], // Latin
  [0x250, 0x2ff], // phonetic letters, modifiers
  [0x300, 0x36f], // combining marks
  [0x370, 0x3ff], // Greek
  [0x400, 0x52f], // Cyrillic
  [0x530, 0x58f], // Armenian
  [0x590, 0x5ff], // Hebrew
  [0x600, 0x6ff], // Arabic
  [0x900, 0x97f], // Devanagari
  [0x980, 0xcff], // Bengali to Kannada
  [0xe00, 0xeff], // Thai, Lao
  [0xf00, 0xfff], // Tibetan
  [0x1000, 0x10ff], // Burmese, Georgian
  [0x1100, 0x11ff], // Hangul in letters
  [0x1200, 0x139f], // Ethiopic, Cherokee
  [0x1780, 0x18af], // Khmer, Mongolian
  [0x2000, 0x206f], // spaces, joiners, directions
  [0x2070, 0x218f], // superscripts, currencies, number forms
  [0x2190, 0x2bff], // arrows, mathematics, boxes
  [0x3000, 0x30ff], // CJK punctuation, kana
  [0x4e00, 0x9fff], // Han
  [0xac00, 0xd7a3], // Hangul in syllables
  [0xe000, 0xe0ff], // private use
  [0xfb00, 0xfeff], // ligatures, presentation forms, U+FEFF
  [0xff00, 0xffff], // full width
  [0x10330, 0x1037f], // Gothic
  [0x12000, 0x120ff], // cuneiform
  [0x1d400, 0x1d7ff], // mathematical letters
  [0x1f1e6, 0x1f1ff], // flags
  [0x1f300, 0x1faff], // emoji
  [0x20000, 0x2a6df], // more Han
];

const character = fc.constantFrom(...BLOCKS).chain(([min, max]) => fc.integer({ min, max }).map(String.fromCodePoint));
/** A run within one script, as real text is. */
const run = fc
  .constantFrom(...BLOCKS)
  .chain(([min, max]) => fc.array(fc.integer({ min, max }), { minLength: 1, maxLength: 12 }))
  .map((codes) => String.fromCodePoint(...codes));
const space = fc
  .array(
    fc.constantFrom(...Array.from(" \t\n\r\v\f\u0085\u00a0\u1680\u2003\u2028\u202f\u3000\u200b\ufeff\u180e\u001c")),
    {
      minLength: 1,
      maxLength: 6,
    },
  )
  .map((spaces) => spaces.join(""));
const piece = fc.constantFrom(
  ...["<|im_end|>", "<|im_start|>", "<|endoftext|>", "<|begin|>", "<|end|>", "<|im_end", "<|", "|>", "<repo_name>"],
  ...[
    "\ud83d\udc69\u200d\ud83d\udc69\u200d\ud83d\udc67",
    "\ud83d\udc4d\ud83c\udffd",
    "e\u0301",
    "\u00e9",
    "\uac00\u1100\u1161",
  ],
  ...[
    "don't",
    "I'LL",
    "we've'",
    "\u2019s",
    " 's",
    "x1234567y",
    "3.14",
    "\u0663\u0664",
    "0x1F",
    "a_b",
    "C++",
    "...",
    "--",
  ],
  ...["the", " the", "The", "  the", " and then", "\n\n", "\r\n", "http://a.b/c?d=e&f#g", "def f(x):\n    return x\n"],
);
const text = fc
  .array(fc.oneof(run, run, character, space, piece, piece), { maxLength: 10 })
  .map((parts) => parts.join(""));

/** Of the project's own data set: what is asked and what is answered. */
const own = readFileSync(inRoot("demo", "dataset", "short-answers.jsonl"), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as { prompt: string; completion: string })
  .flatMap(({ prompt, completion }) => [prompt, completion, ` ${completion}`]);

export const texts: string[] = [...own, "", ...sample(text, 10_000)];

const turn = (role: Message["role"]): fc.Arbitrary<Message> => text.map((content) => ({ role, content }));
export const conversations: Message[][] = sample(
  fc
    .tuple(
      fc.boolean(),
      fc.array(fc.tuple(turn("user"), turn("assistant")), { maxLength: 3 }),
      turn("user"),
      turn("system"),
    )
    .map(([begun, turns, last, system]) => [...(begun ? [system] : []), ...turns.flat(), last]),
  500,
);
export const ids: number[][] = sample(fc.array(fc.nat({ max: 1_000_000 }), { maxLength: 24 }), 2_000);
