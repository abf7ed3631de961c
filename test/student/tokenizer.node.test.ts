// Tokenizers and templates at the edge against Python's, on texts in many scripts.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { render } from "../../src/student/sequences.ts";
import { ModelTokenizer } from "../../src/student/tokenizer.ts";
import type { Message } from "../../src/wire/common.ts";
import { python, temporary } from "../scorer/scorer.ts";
import { conversations, ids, texts } from "./texts.ts";

interface Answer {
  ids: number[][];
  tokens: string[];
  decoded: string[];
  chat: string[];
  alpaca: string[];
}

const { folder, remove } = temporary();
afterAll(remove);

const json = (...path: string[]): unknown => JSON.parse(readFileSync(join(folder, ...path), "utf8"));
/** Where they differ, the first few: a whole list would say nothing. */
const differences = <T>(ours: readonly T[], theirs: readonly T[], of: readonly unknown[]) =>
  theirs
    .map((theirs, i) => ({ of: of[i], ours: ours[i], theirs }))
    .filter(({ ours, theirs }) => JSON.stringify(ours) !== JSON.stringify(theirs))
    .slice(0, 3);

/** Null of turns that are refused, since their white space would be trimmed in another way. */
function chat(tokens: ModelTokenizer, turns: Message[]): string | null {
  try {
    return render(tokens, turns, "chat");
  } catch (error) {
    expect(String(error)).toContain("would be trimmed");
    return null;
  }
}

describe("as Python reads", () => {
  python("student/tokenizer_oracle.py", [folder], JSON.stringify({ texts, conversations, ids }));
  const answers = Object.entries(json("answers.json") as Record<string, Answer>);

  test.for(answers)("%s", async ([name, theirs]) => {
    const ours = await ModelTokenizer.of(json(name, "tokenizer.json"), json(name, "tokenizer_config.json"));
    expect(texts.length).toBeGreaterThan(10_000);
    const encoded = texts.map((text) => ours.encode(text));
    expect(differences(encoded, theirs.ids, texts)).toEqual([]);
    const tokens = theirs.tokens.map((_, id) => ours.decode([id], { special: true }));
    expect(differences(tokens, theirs.tokens, tokens)).toEqual([]);
    const decoded = ids.map((some) =>
      ours.decode(
        some.map((id) => id % tokens.length),
        { special: false },
      ),
    );
    expect(differences(decoded, theirs.decoded, ids)).toEqual([]);
    const chats = conversations.map((turns) => chat(ours, turns));
    const read = conversations.map((_, i) => i).filter((i) => chats[i] !== null);
    const [oursRead, theirsRead] = [chats, theirs.chat].map((of) => read.map((i) => of[i]));
    expect(differences(oursRead!, theirsRead!, conversations)).toEqual([]);
    expect(read.length).toBeGreaterThan(name === "smollm2" ? 499 : 100);
    const alpacas = theirs.alpaca.map((_, i) => render(ours, texts[i]!, "alpaca"));
    expect(differences(alpacas, theirs.alpaca, texts)).toEqual([]);
  });
});
