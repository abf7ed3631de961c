// Writes short-answers.jsonl:       node demo/dataset/generate.ts
// Fails where it is out of step:    node demo/dataset/generate.ts --check
import { readFileSync, writeFileSync } from "node:fs";
import { categories, type Category, type Item } from "./categories.ts";
import { seededRandom, type Random } from "./random.ts";

const SEED = 40;
const SPLITS = { train: 400, validation: 50, test: 100 } as const;
/** Draws for one row before giving up: a list of words is then too short for the rows asked of it. */
const MAX_DRAWS = 10_000;
const FILE = new URL("short-answers.jsonl", import.meta.url);

interface Row extends Item {
  id: string;
  split: string;
  category: string;
}

/** Draws items until one states nothing that an earlier row states. */
function drawNew(category: Category, random: Random, taken: Set<string>): Item {
  for (let draw = 0; draw < MAX_DRAWS; draw += 1) {
    const item = category.draw(random);
    if (item.facts.some((fact) => taken.has(fact))) continue;
    for (const fact of item.facts) taken.add(fact);
    return item;
  }
  throw new Error(`${category.name}: no new item in ${MAX_DRAWS} draws; give it more words`);
}

/** Rows of a split take the categories in turn. */
function build(): Row[] {
  const random = seededRandom(SEED);
  const taken = new Set<string>();
  return Object.entries(SPLITS).flatMap(([split, count]) =>
    Array.from({ length: count }, (_, i) => {
      const category = categories[i % categories.length];
      if (category === undefined) throw new Error("no categories");
      const id = `${split}-${String(i + 1).padStart(3, "0")}`;
      return { ...drawNew(category, random, taken), id, split, category: category.name };
    }),
  );
}

const words = (text: string): string => ` ${text.toLowerCase().match(/\w+/g)?.join(" ") ?? ""} `;

/** Every answer is what its category's rule finds in the prompt, and is one to three words. */
function assertAnswers(rows: Row[]): void {
  for (const row of rows) {
    const solved = categories.find(({ name }) => name === row.category)?.solve(row.prompt);
    if (solved !== row.completion) throw new Error(`${row.id}: "${row.completion}", but its rule finds "${solved}"`);
    if (row.completion.split(" ").length > 3)
      throw new Error(`${row.id}: "${row.completion}" is longer than three words`);
  }
}

/** No prompt occurs twice, and nothing that one row states or asks about is written in a row of another split. */
function assertNoLeak(rows: Row[]): void {
  const prompts = new Map<string, string>();
  for (const row of rows) {
    const twin = prompts.get(words(row.prompt));
    if (twin !== undefined) throw new Error(`${row.id} repeats the prompt of ${twin}`);
    prompts.set(words(row.prompt), row.id);
  }
  for (const split of Object.keys(SPLITS)) {
    const elsewhere = rows
      .filter((row) => row.split !== split)
      .map((row) => ({ id: row.id, text: words(`${row.prompt} ${row.completion}`) }));
    for (const row of rows.filter((candidate) => candidate.split === split))
      for (const fact of row.facts) {
        const leak = elsewhere.find(({ text }) => text.includes(words(fact)));
        if (leak !== undefined) throw new Error(`${row.id}: "${fact}" also stands in ${leak.id}`);
      }
  }
}

const rows = build();
assertAnswers(rows);
assertNoLeak(rows);
const jsonl = rows
  .map(
    ({ id, split, category, prompt, completion }) => `${JSON.stringify({ id, split, category, prompt, completion })}\n`,
  )
  .join("");
if (process.argv.includes("--check")) {
  if (readFileSync(FILE, "utf8") !== jsonl) {
    console.error("short-answers.jsonl is out of step with its script: run node demo/dataset/generate.ts");
    process.exit(1);
  }
} else {
  writeFileSync(FILE, jsonl);
  console.log(`${rows.length} rows written to short-answers.jsonl`);
}
