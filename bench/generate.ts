// Tokens a second of greedy generation against transformers' own `generate` with padding, on the same prompts.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { inRoot } from "../scripts/paths.ts";
import { embeddedTeacher } from "../scripts/stack/stack.ts";
import type { Goal } from "./goal.ts";
import { call } from "./program.ts";
import { THREADS } from "./score/items.ts";
import { median, sum } from "./stats.ts";

const TEACHER = "smollm2-135m-instruct";
const PROMPTS = 64;
const MAX_NEW_TOKENS = 96;
const GOAL = 1.5;
/** Two best logits that are closer may be chosen either way. */
const TIE = 1e-4;
const FILES = ["common_gen.jsonl", "sciq.jsonl", "commonsense_qa.jsonl", "gsm8k_train.jsonl"];

const Line = z.object({ prompt: z.string() });
const Ids = z.array(z.int());
const Answer = z.strictObject({ seconds: z.number().positive(), answers: z.array(Ids), gaps: z.array(z.number()) });
type Answer = z.infer<typeof Answer>;

/** As many of each file, so that lengths are mixed. */
function readTexts(data: string): string[] {
  return FILES.flatMap((name) => {
    const lines = readFileSync(join(data, name), "utf8")
      .split("\n")
      .slice(0, PROMPTS / FILES.length);
    return lines.map((line) => Line.parse(JSON.parse(line)).prompt);
  });
}

export async function generate(args: string[]): Promise<Goal[]> {
  const { values } = parseArgs({
    args,
    options: {
      data: { type: "string", default: inRoot("..", "shared", "data") },
      repetitions: { type: "string", default: "3" },
    },
  });
  const folder = mkdtempSync(join(tmpdir(), "understudy-bench-"));
  try {
    await call({ file: "score/convert.py" }, { gguf: embeddedTeacher()[TEACHER], folder }, z.strictObject({}));
    const prompts = await call({ file: "score/prompts.py" }, { folder, texts: readTexts(values.data) }, z.array(Ids));
    const request = { folder, prompts, max_new_tokens: MAX_NEW_TOKENS, threads: THREADS };
    const found: { ours: Answer[]; transformers: Answer[] } = { ours: [], transformers: [] };
    for (let n = 1; n <= Number(values.repetitions); n++) {
      for (const side of n % 2 === 0 ? (["ours", "transformers"] as const) : (["transformers", "ours"] as const)) {
        const answer = await call({ file: "score/generate.py" }, { ...request, side }, Answer);
        found[side].push(answer);
        const tokens = sum(answer.answers.map((ids) => ids.length));
        console.log(
          `${side.padEnd(13)} ${answer.seconds.toFixed(1)} s, ${(tokens / answer.seconds).toFixed(1)} tokens/s`,
        );
      }
    }
    return report(prompts, found);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function report(prompts: number[][], { ours, transformers }: { ours: Answer[]; transformers: Answer[] }): Goal[] {
  const [mine] = ours;
  const [theirs] = transformers;
  if (mine === undefined || theirs === undefined) throw new Error("nothing was measured");
  const differ = mine.answers.flatMap((ids, i) => (String(ids) === String(theirs.answers[i]) ? [] : [i]));
  const wrong = differ.filter((i) => (theirs.gaps[i] ?? Infinity) >= TIE).length;
  const speed = median(transformers.map(({ seconds }) => seconds)) / median(ours.map(({ seconds }) => seconds));
  const lengths = (rows: number[][]): string => {
    const sorted = rows.map((ids) => ids.length).sort((a, b) => a - b);
    return `${sorted[0] ?? 0} to ${sorted.at(-1) ?? 0} tokens, median ${median(sorted)}`;
  };
  console.log(
    `\nprompts of ${lengths(prompts)}; answers of ${lengths(mine.answers)}; ${differ.length} answers differ, ` +
      `${differ.length - wrong} of them where the two best logits are within ${TIE}\n`,
  );
  return [
    { what: "tokens a second against transformers' generate", value: speed, goal: GOAL, met: speed >= GOAL },
    { what: "answers that differ without a tie", value: wrong, goal: 0, met: wrong === 0 },
  ];
}
