// The public door: the whole app in workerd, with D1, R2 and the real pool; projects and keys made as an operator makes them.
import { env } from "cloudflare:workers";
import { app } from "../../src/app.ts";
import type { Role } from "../../src/wire/jobs.ts";
import { FakeWorker } from "../pool/fake-worker.ts";
import type { Stub } from "../pool/harness.ts";

export const OPERATOR = "operator-secret-of-tests";

export interface Answered {
  status: number;
  headers: Headers;
  // Whatever JSON came back; tests match against it.
  body: any; // eslint-disable-line @typescript-eslint/no-explicit-any
}

export interface Call {
  json?: unknown;
  /** A body as it is, with its content type in `headers`. */
  raw?: BodyInit;
  headers?: Record<string, string>;
}

/** A request with a key, or with none (null). */
export async function call(key: string | null, method: string, path: string, request: Call = {}): Promise<Answered> {
  const headers = new Headers(request.headers);
  if (key !== null) headers.set("authorization", `Bearer ${key}`);
  if (request.json !== undefined) headers.set("content-type", "application/json");
  const body = request.json === undefined ? request.raw : JSON.stringify(request.json);
  const response = await app.request(path, { method, headers, ...(body === undefined ? {} : { body }) }, env);
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json") ?? false;
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}

const unique = (): string => crypto.randomUUID().slice(0, 13);

export interface TestProject {
  id: string;
  admin: string;
}

export async function newProject(): Promise<TestProject> {
  const { body } = await call(OPERATOR, "POST", "/v1/projects", { json: { name: `test-${unique()}` } });
  return { id: body.id, admin: body.admin_key };
}

/** The secret of a new key of the project. */
export async function newKey(project: TestProject, role: Role): Promise<string> {
  const { body } = await call(project.admin, "POST", "/v1/keys", { json: { name: `${role}-${unique()}`, role } });
  return body.secret;
}

/** A scripted worker that dialled in through `/v1/workers/connect`. */
export function dial(secret: string): Promise<FakeWorker> {
  const door = {
    fetch: () =>
      app.request(
        "/v1/workers/connect",
        { headers: { upgrade: "websocket", authorization: `Bearer ${secret}`, "x-understudy-key": "key_forged" } },
        env,
      ),
  };
  return FakeWorker.dial(door as unknown as Stub);
}

/** JSON Lines. */
export const jsonl = (...rows: unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

export const upload = (key: string, query: string, text: BodyInit, headers: Record<string, string> = {}) =>
  call(key, "POST", `/v1/datasets?${query}`, {
    raw: text,
    headers: { "content-type": "application/x-ndjson", ...headers },
  });

/** Every page of a list, by its cursor. */
export async function walk(key: string, path: string, limit: number): Promise<Answered["body"][]> {
  const found: Answered["body"][] = [];
  let after = "";
  for (;;) {
    const { body } = await call(key, "GET", `${path}${path.includes("?") ? "&" : "?"}limit=${limit}${after}`);
    found.push(...body.data);
    if (body.has_more !== true) return found;
    after = `&after=${body.last_id}`;
  }
}
