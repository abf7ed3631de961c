// npm run bench -- NAME [OPTION ...]: a table for people, and as the last line one JSON object with the goals.
import { UserError } from "../scripts/stack/hold.ts";
import { fail } from "../scripts/stack/lifetime.ts";
import { distill } from "./distill.ts";
import { edge } from "./edge.ts";
import type { Goal } from "./goal.ts";
import { generate } from "./generate.ts";
import { lmEval } from "./lm-eval.ts";
import { records } from "./records.ts";
import { size } from "./size.ts";
import { scoreParity } from "./score/parity.ts";
import { score } from "./score.ts";

const BENCHES: Record<string, (args: string[]) => Promise<Goal[]>> = {
  distill,
  edge,
  records,
  score,
  size,
  generate,
  "lm-eval": lmEval,
  "score-parity": scoreParity,
};

const [name = "", ...args] = process.argv.slice(2);
try {
  const bench = BENCHES[name];
  if (bench === undefined) {
    throw new UserError(`npm run bench -- NAME, where NAME is one of: ${Object.keys(BENCHES).join(", ")}`);
  }
  const goals = await bench(args);
  console.log(JSON.stringify({ bench: name, goals }));
  process.exitCode = goals.every((goal) => goal.met) ? 0 : 1;
} catch (error) {
  fail(error);
}
