// POST /v1/scores against a plain transformers loop over the same prompts: the largest difference in nats.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { PYTHON, inRoot } from "../../scripts/paths.ts";
import { UserError } from "../../scripts/stack/hold.ts";
import { embeddedTeacher, startStack } from "../../scripts/stack/stack.ts";
import type { Understudy } from "../../src/sdk/index.ts";
import type { Goal } from "../goal.ts";

const TEACHER = "smollm2-135m-instruct";
const KEEP_LAYERS = 15;
/** Nats a token, and nats a response of up to 512 tokens. Responses that share the reading of their prompt differ from
 * those read alone by fp32's rounding, which on SmolLM2 is 3e-5 (measured against fp64). */
const TOKEN_GOAL = 1e-4;
const RESPONSE_GOAL = 1e-3;

const Line = z.object({ prompt: z.string().min(1), completion: z.string().min(1) });
type Item = z.infer<typeof Line>;

const Reference = z.array(z.strictObject({ teacher: z.array(z.number()), student: z.array(z.number()) }));
type Tokens = z.infer<typeof Reference>[number];

/** The first `count` rows with a prompt and a completion. */
function readItems(path: string, count: number): Item[] {
  const lines = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.trim() !== "");
  const items = lines.map((line) => Line.safeParse(JSON.parse(line))).flatMap(({ data }) => (data ? [data] : []));
  if (items.length < count)
    throw new UserError(`${path} has ${items.length} rows with prompt and completion; ${count} are needed`);
  return items.slice(0, count);
}

async function scored(client: Understudy, items: Item[]): Promise<Tokens[]> {
  await client.createModel({ name: TEACHER, source: { type: "local", name: TEACHER } });
  await client.modelReady(TEACHER);
  await client.createModel({ name: "student", source: { type: "prune", model: TEACHER, keep_layers: KEEP_LAYERS } });
  await client.modelReady("student");
  const all: Tokens[] = [];
  for (const { prompt, completion } of items) {
    // In company of other lengths: what a response is batched with must not show in its score.
    const responses = [
      completion,
      "Yes.",
      `${completion} That is because of what was said before, as everybody knows.`,
    ];
    const pair = { teacher: TEACHER, student: "student" };
    const [first] = (await client.scores({ ...pair, prompt, responses, return_tokens: true })).data;
    const tokens = first?.tokens ?? [];
    all.push({ teacher: tokens.map((t) => t.teacher_logprob), student: tokens.map((t) => t.student_logprob) });
    process.stdout.write(process.stdout.isTTY ? `\rscored ${all.length} of ${items.length}` : "");
  }
  return all;
}

/** The same numbers by one forward pass a response, without padding, in a process of its own. */
function plain(gguf: string, items: Item[]): Tokens[] {
  const input = JSON.stringify({ gguf, keep_layers: KEEP_LAYERS, items });
  const run = spawnSync(PYTHON, [inRoot("bench", "score", "parity.py")], {
    input,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (run.status !== 0) throw new Error(`parity.py: ${run.stderr}`);
  return Reference.parse(JSON.parse(run.stdout));
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);

function differences(ours: number[], theirs: number[]): { token: number; response: number } {
  if (ours.length !== theirs.length) return { token: Infinity, response: Infinity };
  const token = Math.max(...ours.map((value, i) => Math.abs(value - (theirs[i] ?? Infinity))));
  return { token, response: Math.abs(sum(ours) - sum(theirs)) };
}

export async function scoreParity(args: string[]): Promise<Goal[]> {
  const { values } = parseArgs({
    args,
    options: {
      data: { type: "string", default: inRoot("demo", "dataset", "short-answers.jsonl") },
      count: { type: "string", default: "50" },
    },
  });
  const items = readItems(values.data, Number(values.count));
  const folder = mkdtempSync(join(tmpdir(), "understudy-bench-"));
  const models = embeddedTeacher();
  const stack = await startStack({ folder, port: 0, workers: 1, models });
  const ours = await scored(stack.client(), items).finally(async () => {
    await stack.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const theirs = plain(models[TEACHER] ?? "", items);
  const found = (["teacher", "student"] as const).map((model) => {
    const each = ours.map((tokens, i) => differences(tokens[model], theirs[i]?.[model] ?? []));
    const token = Math.max(...each.map((one) => one.token));
    const response = Math.max(...each.map((one) => one.response));
    console.log(
      `\n${model.padEnd(8)} largest difference ${token.toExponential(1)} nats a token, ${response.toExponential(1)} a response`,
    );
    return { token, response };
  });
  const goal = (what: string, value: number, limit: number): Goal => ({
    what,
    value,
    goal: limit,
    met: value <= limit,
  });
  return [
    goal("nats a token", Math.max(...found.map((one) => one.token)), TOKEN_GOAL),
    goal("nats a response", Math.max(...found.map((one) => one.response)), RESPONSE_GOAL),
  ];
}
