// Whether the parts that every request needs answer.
import { VERSION } from "../config.ts";
import type { Env } from "../env.ts";
import { ApiError } from "../errors.ts";
import { DEFAULT_POOL, poolOf } from "./context.ts";

async function answers(part: string, ask: () => Promise<unknown>): Promise<"ok"> {
  try {
    await ask();
    return "ok";
  } catch (cause) {
    throw new ApiError("unavailable", `${part} does not answer; try again.`, { cause, retryAfter: 5 });
  }
}

export async function health(env: Env) {
  const [d1, pool] = await Promise.all([
    answers("The record (D1)", () => env.DB.prepare("SELECT 1 FROM projects LIMIT 1").run()),
    answers("The pool", () => poolOf(env, DEFAULT_POOL).ping()),
  ]);
  return { status: "ok" as const, version: VERSION, d1, pool };
}
