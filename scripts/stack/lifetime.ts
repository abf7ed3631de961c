// A program that lives until it is told to stop: Ctrl-C once stops cleanly, however often it comes.
import { UserError } from "./hold.ts";

interface Stoppable {
  stop(): Promise<void>;
}

/** `parseArgs` says in its message what is wrong with an option. */
const isBadOption = (error: Error): boolean => "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");

/** Tells a mistake of the user's in one line, anything else with its stack; exits 1. */
export function fail(error: unknown): never {
  const clear = error instanceof UserError || (error instanceof Error && isBadOption(error));
  console.error(clear ? error.message : error);
  process.exit(1);
}

/** A port that is in use is the likeliest mistake. */
function explain(error: unknown): unknown {
  if (!String(error).includes("ERR_ADDRESS_IN_USE")) return error;
  return new UserError("that port is in use: choose another with --port (0 for any free one)");
}

export async function runUntilStopped(start: () => Promise<Stoppable>): Promise<void> {
  const told = new Promise<void>((done) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => done());
  });
  const running = await start().catch((error: unknown) => fail(explain(error)));
  await told;
  await running.stop();
  process.exit(0);
}
