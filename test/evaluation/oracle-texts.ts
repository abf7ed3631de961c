// What the oracle is asked about: the demo's answers, and generated text full of what programs differ in.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { z } from "zod";

/** The demo's own short answers. */
const DATA = fileURLToPath(new URL("../../demo/dataset/short-answers.jsonl", import.meta.url));

const Row = z.object({ prompt: z.string(), completion: z.string() });
export type Text = [references: string[], response: string];

export const sample = <T>(arbitrary: fc.Arbitrary<T>, count: number): T[] =>
  fc.sample(arbitrary, { numRuns: count, seed: 7 });

/** Real answers: each beside its neighbour's, its own with small changes, its prompt's neighbour, its own in a sentence. */
function readRealTexts(): Text[] {
  const rows = readFileSync(DATA, "utf8")
    .trim()
    .split("\n")
    .map((line) => Row.parse(JSON.parse(line)));
  return rows.flatMap(({ prompt, completion }, i): Text[] => {
    const next = rows[(i + 1) % rows.length]!;
    return [
      [[next.completion, completion], ` ${completion.toUpperCase()}!`],
      [[next.completion], completion],
      [[prompt], rows[(i + 7) % rows.length]!.prompt],
      [[completion], `The answer is ${completion}.`],
    ];
  });
}

const chars = (text: string): string[] => Array.from(text);

/** Characters where Python and JavaScript could differ: white space, punctuation, case, combining marks. */
const tricky = fc.constantFrom(
  ...chars(" \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u200b\u2028\u202f\u205f\u3000\ufeff\u180e"),
  ...chars("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\u00bf\u2019\u3002"),
  ...chars("\u0130\u0131\u03a3\u03c3\u03c2\u1e9e\u00df\u212a\u2126\u01c5\u0345\u0301\ufb01"),
);
/** Letters, marks, numbers and punctuation, less the capitals that Unicode gained after Python 3.11's tables. */
const known = fc
  .integer({ min: 0x20, max: 0xd7ff })
  .map((code) => String.fromCodePoint(code))
  .filter((c) => /[\p{L}\p{M}\p{N}\p{P}]/u.test(c) && !/[\ua7c0-\ua7ff\u1c80-\u1c8f]/.test(c));
const word = fc.constantFrom(
  "The",
  "the",
  "a",
  "cats",
  "Running",
  "relational",
  "happily",
  "x2",
  "don't",
  "\u039f\u03a3",
  "na\u00efve",
);
const text = fc
  .array(fc.oneof(word, fc.constant(" "), tricky, known), { maxLength: 40 })
  .map((parts) => parts.join(""));
const prose = fc.array(word, { maxLength: 200 }).map((words) => words.join(" "));
const anyText = fc.oneof(text, prose);

/** Numbers as people write them, and what only looks like one. */
const number = fc.oneof(
  fc.constantFrom(
    ...[
      "$1,234.50",
      "-5",
      "\u22127",
      "3.0",
      "007",
      "1,2,3",
      ".5",
      "0.0",
      "-0",
      "10-20",
      "\u20ac-3.20",
      "-$5",
      "5%",
      "42.",
    ],
    ...[
      "1,234,567.00",
      "is.42",
      "#### 72",
      "v1.2.3",
      "x-2",
      "(3)-1",
      "12,34",
      "1,2345",
      "-.5",
      "$-5",
      "5 - 3",
      "--4",
      "\u0663",
    ],
  ),
  fc.integer({ min: -2000, max: 2000 }).map(String),
  fc.integer({ min: 0, max: 3_000_000 }).map((n) => n.toLocaleString("en-US")),
  fc.double({ min: -50, max: 50, noNaN: true }).map((x) => x.toFixed(2)),
);
const numeric = fc
  .array(fc.oneof(number, fc.constantFrom(" ", " is ", "=", ", ", "-", "a", "\n")), { minLength: 1, maxLength: 8 })
  .map((parts) => parts.join(""));

/** The same integer in two of the ways in which people write it. */
const spelled = fc
  .tuple(fc.integer({ min: -9_999_999, max: 9_999_999 }), fc.nat({ max: 3 }), fc.nat({ max: 3 }))
  .map(([n, here, there]): Text => {
    const size = Math.abs(n).toLocaleString("en-US");
    const minus = n < 0 ? "-" : "";
    const ways = [String(n), minus + size, `${minus}$${size}.00`, `so ${minus}0${Math.abs(n)}.0`];
    return [[ways[here]!], `first 3, then ${ways[there]!}.`];
  });

/** A text, and the same in other case, punctuation and spaces. */
const dressed = fc
  .array(word, { minLength: 1, maxLength: 12 })
  .map((words): Text => [[words.join(" ")], `  ${words.join("  ").toUpperCase()}?!`]);

/** A text, and one that holds it among other words. */
const held = fc
  .tuple(fc.array(word, { maxLength: 4 }), fc.array(word, { maxLength: 30 }), fc.nat())
  .map(([run, rest, at]): Text => {
    const place = at % (rest.length + 1);
    return [[run.join(" ")], [...rest.slice(0, place), ...run, ...rest.slice(place)].join(" ")];
  });
const fewWords = fc.array(fc.constantFrom("a", "b", "A,"), { maxLength: 12 }).map((all) => all.join(" "));
/** Past what any table of the other program's could be wrong about by a short text alone. */
const long = fc
  .array(fc.oneof(word, fc.string({ maxLength: 6 })), { minLength: 600, maxLength: 900 })
  .map((all) => all.join(" "));

export const realTexts = readRealTexts();
export const generatedTexts: Text[] = [
  ...sample(fc.tuple(fc.array(anyText, { minLength: 1, maxLength: 4 }), anyText), 3500),
  ...sample(fc.tuple(fc.array(numeric, { minLength: 1, maxLength: 3 }), numeric), 3500),
  ...sample(spelled, 1500),
  ...sample(dressed, 500),
  ...sample(held, 1500),
  ...sample(fc.tuple(fc.array(fewWords, { minLength: 1, maxLength: 2 }), fewWords), 1500),
  ...sample(anyText, 400).map((t): Text => [["x", `  ${t} `], t]),
  ...sample(fc.tuple(fc.tuple(long), long), 6),
  ...["", " ", "...", "x".repeat(50_000), "1".repeat(50_000), "a ".repeat(900)].flatMap((t): Text[] => [
    [[t], ""],
    [[""], t],
    [[t], t],
  ]),
];

/** The same in both syntaxes; Python's are read with re.ASCII. */
export const PATTERNS = [
  { re2: "answer|cat", python: "answer|cat" },
  { re2: "^[A-Z]", python: "^[A-Z]" },
  { re2: "[0-9]+\\.[0-9]{1,3}", python: "[0-9]+\\.[0-9]{1,3}" },
  { re2: "(?i)the ", python: "(?i)the " },
  { re2: "\\d+\\z", python: "\\d+\\Z" },
  { re2: "(a|aa)+b?\\b", python: "(a|aa)+b?\\b" },
  { re2: "^.{3,20}$", python: "^.{3,20}\\Z" },
  { re2: "(?s)^.*e.*$", python: "(?s)^.*e.*\\Z" },
  { re2: "(?m)^####", python: "(?m)^####" },
  { re2: "[^\\x00-\\x7f]", python: "[^\\x00-\\x7f]" },
];

const PREFIXES = [
  "",
  "a",
  "b",
  "tr",
  "geo",
  "yy",
  "hop",
  "relat",
  "sens",
  "condit",
  "operat",
  "flay",
  "mm",
  "2b",
  "electr",
];
const MIDDLES = ["", "al", "ation", "ous", "ful", "ic", "ell", "iz", "at", "bl", "y", "ogi", "ment", "nn", "ali"];
const ENDINGS = [
  ...[
    "",
    "s",
    "ies",
    "sses",
    "ss",
    "ed",
    "ied",
    "eed",
    "ing",
    "y",
    "e",
    "ll",
    "ational",
    "alli",
    "bli",
    "fulli",
    "logi",
    "izer",
  ],
  ...[
    "ement",
    "ion",
    "tion",
    "sion",
    "ative",
    "ness",
    "iviti",
    "biliti",
    "ousness",
    "lly",
    "ed",
    "er",
    "ance",
    "ily",
    "ying",
  ],
];
const IRREGULAR = [
  "sky",
  "skies",
  "dying",
  "news",
  "innings",
  "constructor",
  "proceed",
  "succeed",
  "howe",
  "spied",
  "tied",
  "ties",
  "toString",
];
const allWords = [
  ...IRREGULAR.map((w) => w.toLowerCase()),
  ...PREFIXES.flatMap((p) => MIDDLES.flatMap((m) => ENDINGS.map((e) => p + m + e))),
  ...sample(fc.string({ unit: fc.constantFrom(...chars("aeiouybcdfglmnrstxz19")), minLength: 1, maxLength: 12 }), 8000),
];
export const words = allWords.filter((w) => w !== "");
