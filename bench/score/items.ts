// What the benches against lm-eval share: its version, and questions with choices.
import { readFileSync } from "node:fs";
import { z } from "zod";

/** The newest on PyPI when this was written. */
export const LM_EVAL = ["lm-eval[api]==0.4.13"];
export const THREADS = 2;
export const CHOICES = 4;

const Line = z.object({ prompt: z.string(), completion: z.string() });

interface Item {
  prompt: string;
  choices: string[];
}

/** Each prompt with its answer first, and the answers of the rows after it as the wrong ones. */
export function readItems(path: string, count: number): Item[] {
  const rows = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Line.parse(JSON.parse(line)));
  return rows.slice(0, count).map(({ prompt }, i) => {
    const answers = new Set<string>();
    for (let j = i; answers.size < CHOICES; j++) answers.add(` ${rows[j % rows.length]?.completion ?? ""}`);
    return { prompt, choices: [...answers] };
  });
}
