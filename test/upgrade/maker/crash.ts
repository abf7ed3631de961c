// node crash.ts TREE STATE TINY: fills a new state folder by the stack of a work tree, and kills worker and workerd in the
// middle. Prints when, and the keys that it made, as JSON on the last line.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { lacking, readStored } from "../stored.ts";
import { closeLogs, copyState } from "./files.ts";
import {
  GIVEN_EVALUATION,
  MIDDLE,
  PAIRS_JSONL,
  SAMPLED_STEPS,
  TAUGHT_RUN,
  TAUGHT_STEPS,
  WORDS_JSONL,
  accuracyOf,
  closenessOf,
  evaluationOf,
  halfDoneEvaluation,
  middleRun,
  sampledRun,
  scoresOf,
} from "./plan.ts";
import { loadRelease } from "./release.ts";
import type { Client, Release, WorkerOptions } from "./release.ts";

/** Pause after each step once the run may be interrupted, s: room for a few looks. */
const PAUSE_S = 0.05;
/** Between two looks, ms. */
const LOOK_MS = 20;

const [tree = "", state = "", tiny = ""] = process.argv.slice(2);
const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));
const say = (text: string) => console.error(`  ${text}`);

function startWorker({ python }: Release, options: WorkerOptions): ChildProcess {
  const models = Object.entries(options.models).flatMap(([name, path]) => ["--models", `${name}=${path}`]);
  const own = [join(import.meta.dirname, "worker.py"), tree, String(MIDDLE.resumeAt), String(PAUSE_S)];
  const args = ["--url", options.url, "--name", options.name, "--cache-dir", options.cache, "--threads", "1"];
  const child = spawn(python, [...own, ...args, ...models], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, UNDERSTUDY_WORKER_KEY: options.key, PYTHONUNBUFFERED: "1" },
  });
  const log = createWriteStream(join(state, "logs", "worker.log"));
  for (const stream of [child.stdout, child.stderr]) stream.pipe(log);
  return child;
}

/** Takes steps of a new run up to `to`; the run's id. */
async function train(client: Client, run: object, to: number): Promise<string> {
  const { id } = await client.runs.create(run);
  await (await client.runs.takeSteps(id, { to })).finished();
  return id;
}

interface Filled {
  /** The teacher's id: a checkpoint. */
  teacher: string;
  /** The id of the run that is not finished. */
  middle: string;
}

/** Everything that is finished before the crash. */
async function fill(client: Client): Promise<Filled> {
  await client.uploadDataset("words", WORDS_JSONL);
  await client.uploadDataset("pairs", PAIRS_JSONL);
  await client.createModel({ name: "tiny", source: { type: "local", name: "tiny" } });
  await client.modelReady("tiny");
  const teacher = `${await train(client, TAUGHT_RUN, TAUGHT_STEPS)}@${TAUGHT_STEPS}`;
  await client.createModel({ name: "half", source: { type: "prune", model: teacher, keep_layers: 2 } });
  await client.modelReady("half");
  say("data sets, models and a teacher are there");
  const sampled = await train(client, sampledRun(teacher), SAMPLED_STEPS);
  const middle = await train(client, middleRun(teacher), MIDDLE.pausedAt);
  say("one student is finished, another at its first stop");
  for (const model of [teacher, "half", `${sampled}@${SAMPLED_STEPS}`]) {
    await client.evaluations.wait((await client.evaluations.create(evaluationOf(model))).id);
  }
  await client.evaluations.wait((await client.evaluations.create(GIVEN_EVALUATION)).id);
  await client.preferenceEvaluations.wait((await client.preferenceEvaluations.create(accuracyOf(teacher))).id);
  await client.scores(scoresOf(teacher));
  say("evaluations are finished");
  return { teacher, middle };
}

/** What the crash interrupts: an evaluation of which one lease is done, then the run; behind them what waits in the queue. */
async function begin(client: Client, { teacher, middle }: Filled): Promise<void> {
  await client.evaluations.create(halfDoneEvaluation(teacher));
  await client.runs.takeSteps(middle, { to: MIDDLE.total });
  await client.createModel({ name: "three", source: { type: "prune", model: "tiny", keep_layers: 3 } });
  await client.preferenceEvaluations.create(closenessOf(teacher));
  // No worker of this stack declares it.
  await client.createModel({ name: "elsewhere", source: { type: "local", name: "elsewhere" } });
}

const signal = (pids: number[], name: NodeJS.Signals) => pids.forEach((pid) => process.kill(pid, name));

/** Looks again and again with every process stopped, and kills them once the state is what a fixture must hold. A stopped
 * process has written what a killed one would have. */
async function killAmid(client: Client, middle: string, pids: number[]): Promise<number> {
  let missing: string[] = [];
  for (;;) {
    const { head } = await client.runs.get(middle);
    if (head > MIDDLE.killTo) throw new Error(`the run went by: ${missing.join("; ") || "nothing was seen"}`);
    if (head >= MIDDLE.killFrom) {
      signal(pids, "SIGSTOP");
      const now = Date.now();
      copyState(state, `${state}.look`);
      closeLogs(`${state}.look`);
      missing = lacking(readStored(`${state}.look`), now);
      if (missing.length === 0) {
        signal(pids, "SIGKILL");
        say(`killed after step ${head}`);
        return now;
      }
      signal(pids, "SIGCONT");
    }
    await sleep(LOOK_MS);
  }
}

const release = await loadRelease(tree);
const stack = await release.startStack({ folder: state, port: 0, workers: 0, models: { tiny } });
const edge = release.childrenOf(process.pid, "workerd");
if (edge.length === 0) throw new Error("no workerd was started");
const worker = startWorker(release, stack.worker("worker-1"));
const pid = worker.pid ?? -1;
try {
  const client = stack.client();
  const reader = await client.createKey({ name: "reader", role: "read" });
  const filled = await fill(client);
  await begin(client, filled);
  // workerd first, so that it does not see the worker's socket close.
  const killedAt = await killAmid(client, filled.middle, [...edge, pid]);
  console.log(JSON.stringify({ killed_at: killedAt, admin: stack.keys.admin, reader: reader.secret }));
  process.exit(0);
} catch (error) {
  console.error(error);
  worker.kill("SIGKILL");
  await stack.stop();
  process.exit(1);
}
