// The method's routes behind the real middleware, for a project of its own with a real pool, and a scripted worker.
import { OpenAPIHono } from "@hono/zod-openapi";
import { env } from "cloudflare:workers";
import { HTTPException } from "hono/http-exception";
import { ApiError } from "../../src/errors.ts";
import { checkpoints } from "../../src/routes/checkpoints.ts";
import { completions } from "../../src/routes/completions.ts";
import { exports } from "../../src/routes/exports.ts";
import { evaluations } from "../../src/routes/evaluations.ts";
import { leaderboard } from "../../src/routes/leaderboard.ts";
import { preferenceEvaluations } from "../../src/routes/preference-evaluations.ts";
import { preferences } from "../../src/routes/preferences.ts";
import { runs } from "../../src/routes/runs.ts";
import { scores } from "../../src/routes/scores.ts";
import { teacherScores } from "../../src/routes/teacher-scores.ts";
import type { Env } from "../../src/env.ts";
import type { App } from "../../src/services/context.ts";
import type { TestProject } from "../services/project.ts";

const app = new OpenAPIHono<App>();
const routers = [
  checkpoints, completions, evaluations, exports, leaderboard, preferenceEvaluations, preferences, runs, scores, teacherScores,
]; // prettier-ignore
for (const router of routers) app.route("/", router);
app.onError((error, c) => {
  if (error instanceof HTTPException) return error.getResponse();
  if (!(error instanceof ApiError)) throw error;
  return c.json(error.body(), error.status);
});

export interface Answered {
  status: number;
  headers: Headers;
  body: unknown;
}

/** A request with the project's key, and its answer as it comes; JSON bodies are written. */
export async function open(
  project: TestProject,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
  bindings: Partial<Env> = {},
): Promise<Response> {
  const raw = typeof body === "string";
  const init = body === undefined ? {} : { body: raw ? body : JSON.stringify(body) };
  return app.request(
    path,
    {
      method,
      headers: { authorization: `Bearer ${project.secret}`, "content-type": "application/json", ...headers },
      ...init,
    },
    { ...env, ...bindings },
  );
}

/** As `open`, and reads the whole answer. */
export async function ask(...request: Parameters<typeof open>): Promise<Answered> {
  const response = await open(...request);
  const text = await response.text();
  const json = response.headers.get("content-type")?.startsWith("application/json") ?? false;
  return { status: response.status, headers: response.headers, body: json ? (JSON.parse(text) as unknown) : text };
}

/** Reads a stream as far as a text in it, and gives all that has come. */
export function textOf(stream: ReadableStream<Uint8Array>) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let all = "";
  return {
    async until(text: string): Promise<string> {
      while (!all.includes(text)) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`the stream ended before ${text}: ${all}`);
        all += value;
      }
      return all;
    },
  };
}
