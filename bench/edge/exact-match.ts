// Exact match of the exported student on the demo's held-out questions against PyTorch's, on the same checkpoint.
import { readFileSync } from "node:fs";
import { z } from "zod";
import { RECIPE } from "../../demo/recipe.ts";
import { inRoot } from "../../scripts/paths.ts";
import { exactMatch } from "../../src/evaluation/exact-match.ts";
import { Precision } from "../../src/wire/exports.ts";
import type { Goal } from "../goal.ts";
import { call } from "../program.ts";
import type { Student } from "./exports.ts";

/** Points of exact match. */
const POINTS: Record<Precision, number> = { fp32: 0, int8: 1, int4: 3 };

const Row = z.object({ split: z.string(), prompt: z.string(), completion: z.string() });
const Answers = z.array(z.string());

export async function exactMatches(student: Student): Promise<Goal[]> {
  const lines = readFileSync(inRoot("demo", "dataset", "short-answers.jsonl"), "utf8")
    .trimEnd()
    .split("\n");
  const rows = lines.map((line) => Row.parse(JSON.parse(line))).filter(({ split }) => split === "test");
  const exports = await student.folders(Precision.options);
  const prompts = rows.map(({ prompt }) => prompt);
  const { pytorch, ...found } = await call(
    { file: "edge/answers.py" },
    { folder: student.folder, exports, prompts, max_new_tokens: RECIPE.generation.max_new_tokens },
    z.strictObject({ pytorch: Answers, fp32: Answers, int8: Answers, int4: Answers }),
  );
  const points = (answers: string[]): number => {
    const right = answers.filter((answer, i) => exactMatch(answer, [rows[i]?.completion ?? ""]));
    return (100 * right.length) / rows.length;
  };
  console.log(`exact match of ${rows.length} answers by PyTorch: ${points(pytorch).toFixed(1)}`);
  return Precision.options.map((precision) => {
    const answers = found[precision];
    const same = answers.filter((answer, i) => answer === pytorch[i]).length;
    const value = Math.abs(points(answers) - points(pytorch));
    const goal = POINTS[precision];
    console.log(`${precision}: exact match ${points(answers).toFixed(1)}, ${same} answers the same to the letter`);
    return { what: `${precision}: points of exact match from PyTorch`, value, goal, met: value <= goal };
  });
}
