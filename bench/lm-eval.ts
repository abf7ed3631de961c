// The unmodified lm-eval, through the API and by its own `hf` back end on the same weights: three local tasks.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { inRoot } from "../scripts/paths.ts";
import { embeddedTeacher, startStack } from "../scripts/stack/stack.ts";
import type { Goal } from "./goal.ts";
import { peerPython } from "./peers.ts";
import { call } from "./program.ts";
import { LM_EVAL, THREADS, readItems } from "./score/items.ts";

const TEACHER = "smollm2-135m-instruct";
const NATS = 1e-3;

const Line = z.object({ prompt: z.string(), completion: z.string() });

const choiceTask = (name: string, file: string): string => `task: ${name}
dataset_path: json
dataset_kwargs: {data_files: ${JSON.stringify(file)}}
output_type: multiple_choice
test_split: train
doc_to_text: "{{prompt}}"
doc_to_choice: "{{choices}}"
doc_to_target: 0
target_delimiter: ""
metric_list:
  - metric: acc
  - metric: acc_norm
`;

const generationTask = (name: string, file: string): string => `task: ${name}
dataset_path: json
dataset_kwargs: {data_files: ${JSON.stringify(file)}}
output_type: generate_until
test_split: train
doc_to_text: "{{prompt}}"
doc_to_target: "{{completion}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 16, do_sample: false}
metric_list:
  - metric: exact_match
    ignore_case: true
    ignore_punctuation: true
`;

/** Task files and their data; the names of the tasks. */
function writeTasks(folder: string, data: string, count: number): string[] {
  const jsonl = (name: string, rows: object[]): string => {
    const file = join(folder, `${name}.jsonl`);
    writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    return file;
  };
  const tasks = {
    sciq_choices: (name: string) => choiceTask(name, jsonl(name, readItems(join(data, "sciq.jsonl"), count))),
    quartz_choices: (name: string) => choiceTask(name, jsonl(name, readItems(join(data, "quartz.jsonl"), count))),
    sciq_answers: (name: string) => {
      const lines = readFileSync(join(data, "sciq.jsonl"), "utf8").split("\n").slice(0, count);
      return generationTask(name, jsonl(name, lines.map((line) => Line.parse(JSON.parse(line))))); // prettier-ignore
    },
  };
  for (const [name, task] of Object.entries(tasks)) writeFileSync(join(folder, `${name}.yaml`), task(name));
  return Object.keys(tasks);
}

const Sample = z.object({ doc_id: z.int(), resps: z.array(z.array(z.unknown())) });
const Metrics = z.object({ results: z.record(z.string(), z.record(z.string(), z.unknown())) });

interface Outcome {
  /** Of each task: its metrics, and every response in the order of the documents. */
  metrics: z.infer<typeof Metrics>["results"];
  samples: Map<string, unknown[]>;
}

async function evaluate(
  python: string,
  out: string,
  tasks: string[],
  model: string[],
  env: Record<string, string>,
): Promise<Outcome> {
  const args = ["-m", "lm_eval", "run", ...model, "--tasks", ...tasks, "--output_path", out, "--log_samples"];
  const child = spawn(python, args, { env: { ...process.env, HF_HUB_OFFLINE: "1", HF_DATASETS_OFFLINE: "1", ...env } });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (log += data.toString()));
  const code = await new Promise<number | null>((done, fail) => child.on("close", done).on("error", fail));
  if (code !== 0) throw new Error(`lm_eval ended with ${code ?? "a signal"}:\n${log.slice(-4000)}`);
  const files = readdirSync(out, { recursive: true, encoding: "utf8" }).map((name) => join(out, name));
  const results = files.find((name) => /results_[^/]*\.json$/.test(name)) ?? "";
  const samples = tasks.map((task): [string, unknown[]] => {
    const file = files.find((name) => name.includes(`samples_${task}_`)) ?? "";
    const lines = readFileSync(file, "utf8").trim().split("\n");
    const parsed = lines.map((line) => Sample.parse(JSON.parse(line))).sort((a, b) => a.doc_id - b.doc_id);
    return [task, parsed.flatMap((sample) => sample.resps)];
  });
  return { metrics: Metrics.parse(JSON.parse(readFileSync(results, "utf8"))).results, samples: new Map(samples) };
}

const LogLikelihood = z.tuple([z.coerce.number(), z.union([z.boolean(), z.stringbool()])]);

/** The largest difference of two log-likelihoods, and how many answers differ: in is_greedy, or in what was generated. */
function apart(ours: unknown[], theirs: unknown[]): { nats: number; answers: number } {
  if (ours.length !== theirs.length) throw new Error("the two sides answered different numbers of requests");
  let nats = 0;
  let answers = 0;
  ours.forEach((response, i) => {
    const mine = z.array(z.unknown()).parse(response);
    const other = z.array(z.unknown()).parse(theirs[i]);
    const [a, b] = [LogLikelihood.safeParse(mine[0]), LogLikelihood.safeParse(other[0])];
    if (a.success && b.success) nats = Math.max(nats, Math.abs(a.data[0] - b.data[0]));
    const same = a.success && b.success ? a.data[1] === b.data[1] : JSON.stringify(mine) === JSON.stringify(other);
    if (!same) answers += 1;
  });
  return { nats, answers };
}

export async function lmEval(args: string[]): Promise<Goal[]> {
  const { values } = parseArgs({
    args,
    options: {
      data: { type: "string", default: inRoot("..", "shared", "data") },
      count: { type: "string", default: "60" },
    },
  });
  const python = peerPython("lm-eval", LM_EVAL);
  const root = mkdtempSync(join(tmpdir(), "understudy-bench-"));
  const folder = join(root, "teacher");
  const tasks = join(root, "tasks");
  mkdirSync(tasks);
  await call({ file: "score/convert.py" }, { gguf: embeddedTeacher()[TEACHER], folder }, z.strictObject({}));
  const names = writeTasks(tasks, values.data, Number(values.count));
  const stack = await startStack({ folder: join(root, "state"), port: 0, workers: 1, models: { teacher: folder } });
  try {
    const client = stack.client();
    await client.createModel({ name: "teacher", source: { type: "local", name: "teacher" } });
    await client.modelReady("teacher");
    const shared = ["--include_path", tasks, "--batch_size", "16"];
    const key = stack.keys.admin;
    const url = `${stack.url}/m/teacher/v1/completions`;
    // Its tokenizer is the model's own, asked of the service.
    const remote = `base_url=${url},model=teacher,auth_token=${key},num_concurrent=4,max_retries=1`;
    const ours = await evaluate(python, join(root, "ours"), names, ["--model", "local-completions", "--model_args", remote, ...shared], { OPENAI_API_KEY: key }); // prettier-ignore
    const own = `pretrained=${folder},dtype=float32`;
    const theirs = await evaluate(python, join(root, "theirs"), names, ["--model", "hf", "--model_args", own, "--device", "cpu", ...shared], { OMP_NUM_THREADS: String(THREADS) }); // prettier-ignore
    return report(names, ours, theirs);
  } finally {
    await stack.stop();
    rmSync(dirname(folder), { recursive: true, force: true });
  }
}

function report(tasks: string[], ours: Outcome, theirs: Outcome): Goal[] {
  return tasks.flatMap((task) => {
    const { nats, answers } = apart(ours.samples.get(task) ?? [], theirs.samples.get(task) ?? []);
    const metrics = Object.entries(ours.metrics[task] ?? {}).filter(([name, value]) => typeof value === "number" && !name.includes("stderr")); // prettier-ignore
    const differing = metrics.filter(([name, value]) => theirs.metrics[task]?.[name] !== value);
    console.log(
      `${task.padEnd(16)} ${metrics.map(([name, value]) => `${name} ${String(value)} (hf ${String(theirs.metrics[task]?.[name])})`).join(", ")}; ` +
        `${ours.samples.get(task)?.length ?? 0} answers, ${answers} differ, at most ${nats.toExponential(1)} nats apart`,
    );
    return [
      { what: `${task}: metrics that differ`, value: differing.length, goal: 0, met: differing.length === 0 },
      { what: `${task}: nats apart`, value: nats, goal: NATS, met: nats <= NATS },
      { what: `${task}: answers that differ`, value: answers, goal: 0, met: answers === 0 },
    ];
  });
}
