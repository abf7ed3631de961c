// npm run demo [-- --control]: the main job, from nothing to a leaderboard, through the public HTTP API alone.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { STATE } from "../scripts/paths.ts";
import { UserError } from "../scripts/stack/hold.ts";
import { fail } from "../scripts/stack/lifetime.ts";
import { embeddedTeacher, startStack } from "../scripts/stack/stack.ts";
import type { Stack } from "../scripts/stack/stack.ts";
import { ApiError } from "../src/sdk/index.ts";
import { runMainJob } from "./job.ts";
import { createProject, explore } from "./project.ts";
import { Phases, bold, say, wrap } from "./terminal.ts";

const rows = readFileSync(join(import.meta.dirname, "dataset", "short-answers.jsonl"), "utf8");

function introduce(): void {
  say(bold("understudy: a large language model teaches a small one, over HTTP"));
  say(
    wrap(
      "Everything below goes through the public API of a service that this command starts on this machine: the edge in " +
        "workerd, its record in D1, blobs in R2, the pool in a Durable Object, and one worker process on the CPU.",
      "",
    ),
  );
}

async function demo(stack: Stack, phases: Phases, control: boolean): Promise<void> {
  const project = await createProject(stack);
  const pair = await runMainJob(stack.client(project.key), { rows, control }, phases);
  say(`\n${bold("Time of each phase")}`);
  phases.report();
  explore(project, pair);
}

let running: Stack | undefined;
// Before the stack starts: where this program handles signals, its parts leave them to it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    say("\nstopping");
    void (running?.stop() ?? Promise.resolve()).finally(() => process.exit(130));
  });
}
try {
  const { values } = parseArgs({ options: { control: { type: "boolean", default: false } } });
  introduce();
  const phases = new Phases();
  const models = embeddedTeacher();
  const stack = await phases.run("Start the service", () => startStack({ folder: STATE, port: 0, workers: 1, models }));
  running = stack;
  await demo(stack, phases, values.control);
} catch (error) {
  await running?.stop();
  if (running !== undefined) console.error("The logs of the service and its worker are in .understudy/logs/.");
  fail(error instanceof ApiError ? new UserError(error.message) : error);
}
await running.stop();
