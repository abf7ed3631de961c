// A project of its own for each demo, so that every one begins from nothing, and how to look around in it afterwards.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { STATE } from "../scripts/paths.ts";
import { writeEnv } from "../scripts/stack/credentials.ts";
import type { Stack } from "../scripts/stack/stack.ts";
import { ApiError } from "../src/sdk/index.ts";
import type { Pair } from "./rewards.ts";
import { bold, say } from "./terminal.ts";

/** Where `npm start` serves, unless it is told otherwise. */
const START_URL = "http://127.0.0.1:8787";

const ENV = join(STATE, "demo.env");

export interface DemoProject {
  name: string;
  key: string;
}

/** The pool keeps the work of a demo that was interrupted, and nobody waits for it any more: this one would share the worker. */
async function endEarlier(stack: Stack): Promise<void> {
  const key = existsSync(ENV) ? /^UNDERSTUDY_API_KEY=(.+)$/m.exec(readFileSync(ENV, "utf8"))?.[1] : undefined;
  if (key === undefined) return;
  const earlier = stack.client(key);
  try {
    for await (const job of earlier.jobs()) {
      if (job.status === "queued" || job.status === "running") await earlier.cancelJob(job.id);
    }
  } catch (error) {
    // The key of a stack whose state was deleted.
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
  }
}

export async function createProject(stack: Stack): Promise<DemoProject> {
  await endEarlier(stack);
  const name = `demo-${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}`;
  const { admin_key: key } = await stack.client(stack.secrets.operator).createProject({ name });
  if (key === null) throw new Error(`project ${name} was made without a key`);
  writeEnv(ENV, START_URL, key);
  return { name, key };
}

export function explore({ name }: DemoProject, { teacher, student }: Pair): void {
  say(`
${bold("Explore further")}
    All of this is kept in the project ${name}. In one terminal:

      npm start

    and in another:

      set -a; . .understudy/demo.env; set +a
      curl -s "$UNDERSTUDY_BASE_URL/v1/leaderboard?dataset=short-answers&split=test" \\
        -H "Authorization: Bearer $UNDERSTUDY_API_KEY"
      curl -s $UNDERSTUDY_BASE_URL/v1/scores -H "Authorization: Bearer $UNDERSTUDY_API_KEY" \\
        -H "content-type: application/json" -d '{"teacher": "${teacher}",
          "student": "${student}", "prompt": "Name a fruit.", "responses": ["apple", "a brick"]}'

    The leaderboard with every response behind it: ${START_URL}/ (it asks for the key in .understudy/demo.env)
    The reference of every endpoint: ${START_URL}/docs
`);
}
