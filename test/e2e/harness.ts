// The real stack in a temporary folder, on a free port, with a tiny real model.
import { spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PYTHON, inRoot } from "../../scripts/paths.ts";
import { startStack } from "../../scripts/stack/stack.ts";
import type { Stack } from "../../scripts/stack/stack.ts";
import { startWorker, stopWorker } from "../../scripts/stack/worker.ts";
import type { Understudy } from "../../src/sdk/index.ts";

export interface Harness {
  stack: Stack;
  client: Understudy;
  /** Folder for the test's own files. */
  folder: string;
  /** The last lines of every log, for a test that failed. */
  logs(): string;
  /** A worker process that nobody restarts. */
  startWorker(): ChildProcess;
  stop(): Promise<void>;
}

/** Lines of each log that a failed test shows. */
const TAIL = 60;

/** Runs a script of this folder; its standard output. */
export function python(script: string, ...args: string[]): string {
  const run = spawnSync(PYTHON, [inRoot("test", "e2e", script), ...args], { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`${script}: ${run.stderr}`);
  return run.stdout;
}

/** `hidden`: how wide the tiny model is. */
export async function startHarness(hidden = 48): Promise<Harness> {
  const folder = mkdtempSync(join(tmpdir(), "understudy-e2e-"));
  const tiny = join(folder, "tiny");
  python("tiny_model.py", tiny, String(hidden));
  const stack = await startStack({ folder: join(folder, "state"), port: 0, workers: 0, models: { tiny } });
  const workers: ChildProcess[] = [];
  return {
    stack,
    folder,
    client: stack.client(),
    logs() {
      const logs = join(folder, "state", "logs");
      return readdirSync(logs)
        .map((name) => `== ${name}\n${readFileSync(join(logs, name), "utf8").split("\n").slice(-TAIL).join("\n")}`)
        .join("\n");
    },
    startWorker() {
      const worker = startWorker({ ...stack.worker(`worker-${workers.length + 1}`), threads: 1 });
      workers.push(worker);
      return worker;
    },
    async stop() {
      await Promise.all(workers.map((worker) => stopWorker(worker)));
      await stack.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const WORDS = ["red", "green", "blue", "one", "two", "three"];

/** Rows whose answer is a word of their prompt. */
export function dataset(train: number, test: number): string {
  const row = (split: string, i: number) => {
    const word = WORDS[i % WORDS.length];
    return { id: `${split}-${i}`, split, prompt: `Say the word ${word}, and nothing else (${i}).`, completion: word };
  };
  const rows = [
    ...Array.from({ length: train }, (_, i) => row("train", i)),
    ...Array.from({ length: test }, (_, i) => row("test", i)),
  ];
  return rows.map((line) => JSON.stringify(line)).join("\n");
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
