// gpu-worker processes on this machine.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { PYTHON, inRoot } from "../paths.ts";

export interface WorkerOptions {
  url: string;
  key: string;
  /** How the pool lists it. */
  name: string;
  /** Models that the command line declares: name to path. */
  models: Record<string, string>;
  /** Where it keeps what it loads. */
  cache: string;
  threads: number;
  log: (line: string) => void;
}

/** A worker that died is started again after this long, ms. */
const RESTART_MS = 1000;
/** A worker that is asked to stop is killed after this long, ms. */
const STOP_MS = 5000;

/** Resolves once the process has ended. */
export function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((done) => child.once("exit", () => done()));
}

/** Starts one worker process. In a group of its own: Ctrl-C in a terminal reaches the supervisor only, which stops it. */
export function startWorker(options: WorkerOptions): ChildProcess {
  const models = Object.entries(options.models).flatMap(([name, path]) => ["--models", `${name}=${path}`]);
  const { url, name, cache, threads } = options;
  const args = ["--url", url, "--name", name, "--cache-dir", cache, "--threads", String(threads), ...models];
  const child = spawn(PYTHON, [inRoot("scripts", "stack", "worker.py"), ...args], {
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
    env: { ...process.env, UNDERSTUDY_WORKER_KEY: options.key, PYTHONUNBUFFERED: "1" },
  });
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on("line", options.log);
  child.on("error", (error) => options.log(`cannot start a worker: ${error.message}`));
  return child;
}

/** Asks a worker to stop, then makes it. */
export async function stopWorker(child: ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await exited(child);
  clearTimeout(timer);
}

export interface Supervised {
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

/** Keeps one worker alive until it is stopped. */
export function supervise(options: WorkerOptions): Supervised {
  let current = startWorker(options);
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const watch = (child: ChildProcess) => {
    child.once("exit", (code, signal) => {
      if (stopped) return;
      options.log(`worker ended (${signal ?? code ?? "unknown"}); starting another`);
      timer = setTimeout(() => watch((current = startWorker(options))), RESTART_MS);
    });
  };
  watch(current);
  return {
    get process() {
      return current;
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await stopWorker(current);
    },
  };
}
