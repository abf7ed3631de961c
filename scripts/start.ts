// npm start [-- --port 8787 --workers 1]: the stack on this machine, kept up until Ctrl-C.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { STATE } from "./paths.ts";
import { writeEnv } from "./stack/credentials.ts";
import { UserError } from "./stack/hold.ts";
import { runUntilStopped } from "./stack/lifetime.ts";
import { embeddedTeacher, startStack } from "./stack/stack.ts";

function wholeNumber(text: string, name: string, low: number, high: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw new UserError(`--${name} must be a whole number from ${low} to ${high}, not ${text}`);
}

function options() {
  const { values } = parseArgs({
    options: { port: { type: "string", default: "8787" }, workers: { type: "string", default: "1" } },
  });
  return { port: wholeNumber(values.port, "port", 0, 65_535), workers: wholeNumber(values.workers, "workers", 0, 16) };
}

await runUntilStopped(async () => {
  const started = Date.now();
  const stack = await startStack({ folder: STATE, models: embeddedTeacher(), ...options() });
  const env = join(STATE, "dev.env");
  writeEnv(env, stack.url, stack.keys.admin);
  console.log(`understudy is up after ${((Date.now() - started) / 1000).toFixed(1)} s; Ctrl-C stops it.

  UNDERSTUDY_BASE_URL=${stack.url}
  UNDERSTUDY_API_KEY=${stack.keys.admin}
    (an admin key of this machine's project; both are in .understudy/dev.env)

  dashboard   ${stack.url}/
  reference   ${stack.url}/docs
  logs        .understudy/logs/

  set -a; . .understudy/dev.env; set +a
  curl -s $UNDERSTUDY_BASE_URL/v1/workers -H "Authorization: Bearer $UNDERSTUDY_API_KEY"
`);
  return stack;
});
