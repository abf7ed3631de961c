// The stack of another commit, loaded from its work tree. Only what is used of it is declared, so that this checkout's own
// types may change.
import { spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { join, sep } from "node:path";
import { pathToFileURL } from "node:url";

interface WithId {
  id: string;
}

/** `create` starts one and returns at once. */
interface Made {
  create(body: object): Promise<WithId>;
  wait(id: string): Promise<unknown>;
}

export interface Client {
  createModel(body: object): Promise<WithId>;
  modelReady(id: string): Promise<unknown>;
  uploadDataset(name: string, jsonl: string, split?: string): Promise<WithId>;
  scores(body: object): Promise<unknown>;
  createKey(body: object): Promise<WithId & { secret: string | null }>;
  runs: {
    create(body: object): Promise<WithId>;
    get(id: string): Promise<{ head: number }>;
    takeSteps(id: string, body: { to: number }): Promise<{ finished(): Promise<unknown> }>;
  };
  evaluations: Made;
  preferenceEvaluations: Made;
}

export interface WorkerOptions {
  url: string;
  key: string;
  name: string;
  models: Record<string, string>;
  cache: string;
  threads: number;
  log: (line: string) => void;
}

export interface Stack {
  url: string;
  keys: { admin: string; worker: string };
  worker(name: string): WorkerOptions;
  client(key?: string): Client;
  stop(): Promise<void>;
}

interface StackOptions {
  folder: string;
  port: number;
  workers: number;
  models: Record<string, string>;
}

export interface Release {
  python: string;
  startStack(options: StackOptions): Promise<Stack>;
  startWorker(options: WorkerOptions): ChildProcess;
  stopWorker(child: ChildProcess): Promise<void>;
  /** Processes of this program that `pid` started. */
  childrenOf(pid: number, program: string): number[];
}

/** The environment's PYTHONPATH, by which Python finds the tree's worker before this checkout's. */
export const pythonPath = (tree: string): string => join(tree, "gpu-worker");

/** Throws where Python would run another worker than the tree's. */
function checkWorker(python: string, tree: string): void {
  const run = spawnSync(python, ["-c", "import understudy_worker; print(understudy_worker.__file__)"], {
    encoding: "utf8",
  });
  if (!run.stdout.startsWith(`${pythonPath(tree)}${sep}`)) {
    throw new Error(`Python would run ${run.stdout.trim()}, not the worker of ${tree}\n${run.stderr}`);
  }
}

export async function loadRelease(tree: string): Promise<Release> {
  const load = (...path: string[]) => import(pathToFileURL(join(tree, ...path)).href);
  const { PYTHON } = await load("scripts", "paths.ts");
  const { startStack } = await load("scripts", "stack", "stack.ts");
  const { startWorker, stopWorker } = await load("scripts", "stack", "worker.ts");
  const { childrenOf } = await load("scripts", "stack", "hold.ts");
  checkWorker(PYTHON, tree);
  return { python: PYTHON, startStack, startWorker, stopWorker, childrenOf };
}
