// The benches' programs: one JSON request in, one JSON answer out, each in a process of its own.
import { spawn } from "node:child_process";
import type { z } from "zod";
import { PYTHON, inRoot } from "../scripts/paths.ts";

export interface Program {
  /** The file in bench/. */
  file: string;
  /** What runs it: the project's Python unless said. */
  interpreter?: string;
}

/** Lines of a failed program's standard error that are shown. */
const SHOWN_LINES = 20;

export async function call<T>(program: Program, request: object, answer: z.ZodType<T>): Promise<T> {
  const child = spawn(program.interpreter ?? PYTHON, [inRoot("bench", program.file)], {
    env: { ...process.env, TRL_EXPERIMENTAL_SILENCE: "1", HF_HUB_OFFLINE: "1" },
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
  child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
  const status = new Promise<number | null>((resolve, reject) => child.on("close", resolve).on("error", reject));
  child.stdin.end(JSON.stringify(request));
  const code = await status;
  if (code !== 0) {
    const last = stderr.trimEnd().split("\n").slice(-SHOWN_LINES).join("\n");
    throw new Error(`${program.file} ended with ${code ?? "a signal"}:\n${last}`);
  }
  return answer.parse(JSON.parse(stdout));
}
