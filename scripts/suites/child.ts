// Programs that a test run starts: they end with it.
import { spawn } from "node:child_process";
import type { ChildProcess, SpawnOptions } from "node:child_process";
import type { Screen } from "./screen.ts";

const running = new Set<ChildProcess>();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    for (const child of running) child.kill(signal);
    process.exit(130);
  });
}

export interface Started {
  /** Its exit status; null when a signal ended it or it could not start. */
  ended: Promise<number | null>;
  stop(): void;
}

/** Starts a program; all that it prints goes to `screen`. */
export function start(screen: Screen, program: string, args: string[], options: SpawnOptions = {}): Started {
  const child = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => screen.write(text));
  }
  const ended = new Promise<number | null>((done) => {
    child.on("error", (error) => {
      screen.write(`cannot run ${program}: ${error.message}\n`);
      done(null);
    });
    child.on("close", done);
  });
  void ended.then(() => running.delete(child));
  return { ended, stop: () => child.kill() };
}
