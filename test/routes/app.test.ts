import { beforeAll, describe, expect, it } from "vitest";
import { ErrorBody } from "../../src/wire/common.ts";
import { MAX_JSON_BYTES } from "../../src/config.ts";
import { OPERATOR, call, newKey, newProject } from "./harness.ts";
import type { TestProject } from "./harness.ts";

let project: TestProject;
beforeAll(async () => {
  project = await newProject();
});

/** A body whose length nobody announces. */
function chunked(bytes: number): ReadableStream<Uint8Array> {
  const chunk = new TextEncoder().encode(" ".repeat(64 * 1024));
  let left = bytes;
  return new ReadableStream({
    pull(controller) {
      if (left <= 0) controller.close();
      else controller.enqueue(chunk);
      left -= chunk.byteLength;
    },
  });
}

const key = { name: "a-key", role: "read" };
const json = { "content-type": "application/json" };

describe("every error has one body", () => {
  it.each([
    ["a route that is not", "GET", "/v1/nothing", {}, 404, "not_found", null],
    ["a path beside the API", "GET", "/nothing", {}, 404, "not_found", null],
    ["a method that is not", "PUT", "/v1/keys", {}, 405, "method_not_allowed", null],
    ["malformed JSON", "POST", "/v1/keys", { raw: "{", headers: json }, 400, "invalid_json", null],
    ["an empty body", "POST", "/v1/keys", {}, 400, "invalid_request", "name"],
    ["a body that is no object", "POST", "/v1/keys", { json: [] }, 400, "invalid_request", ""],
    ["an unknown field", "POST", "/v1/keys", { json: { ...key, colour: 1 } }, 400, "invalid_request", "colour"],
    ["a wrong type", "POST", "/v1/keys", { json: { ...key, name: 7 } }, 400, "invalid_request", "name"],
    ["a value out of its set", "POST", "/v1/keys", { json: { ...key, role: "root" } }, 400, "invalid_request", "role"],
    ["an unknown query", "GET", "/v1/keys?colour=1", {}, 400, "invalid_request", "colour"],
    ["a limit of 0", "GET", "/v1/keys?limit=0", {}, 400, "invalid_request", "limit"],
    ["a cursor of nothing", "GET", "/v1/keys?after=key_x", {}, 400, "invalid_request", "after"],
    [
      "another media type",
      "POST",
      "/v1/keys",
      { raw: "name=a", headers: { "content-type": "application/x-www-form-urlencoded" } },
      415,
      "unsupported_media_type",
      "Content-Type",
    ],
    [
      "an Idempotency-Key with a space",
      "POST",
      "/v1/keys",
      { json: key, headers: { "idempotency-key": "a b" } },
      400,
      "invalid_request",
      "Idempotency-Key",
    ],
  ])("%s", async (_, method, path, request, status, code, param) => {
    const answer = await call(project.admin, method, path, request);
    expect(answer.status).toBe(status);
    expect(ErrorBody.parse(answer.body)).toMatchObject({ status, error: { code, param } });
    expect(answer.headers.get("x-request-id")).toMatch(/^req_/);
    expect(answer.headers.get("x-should-retry")).toBe("false");
  });

  it("names the methods that a path takes", async () => {
    expect((await call(project.admin, "PUT", "/v1/keys")).headers.get("allow")).toBe("GET, POST");
    expect((await call(null, "POST", "/healthz")).headers.get("allow")).toBe("GET");
  });

  it("refuses a JSON body over the cap, announced or not", async () => {
    const sent = await call(project.admin, "POST", "/v1/keys", { raw: "x".repeat(MAX_JSON_BYTES + 1), headers: json });
    expect(sent).toMatchObject({ status: 413, body: { error: { code: "too_large" } } });
    const streamed = await call(project.admin, "POST", "/v1/keys", { raw: chunked(MAX_JSON_BYTES + 1), headers: json });
    expect(streamed).toMatchObject({ status: 413, body: { error: { code: "too_large" } } });
  });
});

describe("who may ask", () => {
  it.each([
    ["no key", null, 401, "missing_key"],
    ["a key that is no key", "sk-123", 401, "bad_key"],
    ["a key that was never made", `us_${"a".repeat(24)}_${"b".repeat(43)}`, 401, "bad_key"],
  ])("%s", async (_, secret, status, code) => {
    expect(await call(secret, "GET", "/v1/jobs")).toMatchObject({ status, body: { error: { code } } });
  });

  it("refuses another secret under a known id", async () => {
    const forged = `${project.admin.slice(0, -43)}${"A".repeat(43)}`;
    expect(await call(forged, "GET", "/v1/jobs")).toMatchObject({ status: 401, body: { error: { code: "bad_key" } } });
  });

  it("asks for a key before it reads a body", async () => {
    const answer = await call(null, "POST", "/v1/keys", { raw: "x".repeat(MAX_JSON_BYTES + 1), headers: json });
    expect(answer.status).toBe(401);
  });

  const READ = ["GET", "/v1/jobs"] as const;
  const WRITE = ["POST", "/v1/models"] as const;
  const ADMIN = ["GET", "/v1/keys"] as const;
  const OPERATE = ["GET", "/v1/projects"] as const;
  const WORK = ["GET", `/v1/blobs/a/b/0/${"0".repeat(64)}`] as const;
  it.each([
    ["read", [READ]],
    ["write", [READ, WRITE]],
    ["admin", [READ, WRITE, ADMIN]],
    ["worker", [WORK]],
    ["operator", [ADMIN, OPERATE]],
  ] as const)("a %s key opens its own doors only", async (role, open) => {
    const secret = role === "operator" ? OPERATOR : await newKey(project, role);
    for (const door of [READ, WRITE, ADMIN, OPERATE, WORK]) {
      const [method, path] = door;
      const { status } = await call(secret, method, path, method === "POST" ? { json: {} } : {});
      expect([role, path, status === 403]).toEqual([role, path, !open.some((other) => other === door)]);
    }
  });
});

describe("headers", () => {
  it("says how much is left", async () => {
    const { headers } = await call(project.admin, "GET", "/v1/jobs");
    expect(headers.get("ratelimit-policy")).toBe('"requests";q=6000;w=60');
    expect(headers.get("ratelimit")).toMatch(/^"requests";r=[0-9]+;t=0$/);
  });

  it.each(["/v1/jobs", "/v1/nothing", "/healthz", "/openapi.json"])("%s loads nothing in a browser", async (path) => {
    const { headers } = await call(project.admin, "GET", path);
    expect(headers.get("content-security-policy")).toBe("default-src 'none'; frame-ancestors 'none'");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("access-control-allow-origin")).toBeNull();
  });

  it.each(["/", "/docs", "/playground"])("%s is a page under a policy of its own", async (path) => {
    const { status, headers, body } = await call(null, "GET", path);
    expect(status).toBe(200);
    expect(headers.get("content-type")).toMatch(/^text\/html/);
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(body).not.toMatch(/(src|href)="https?:/);
    expect(headers.get("x-request-id")).toMatch(/^req_/);
  });

  it("gives the reference a nonce of its own each time", async () => {
    const answers = await Promise.all(["/docs", "/docs"].map((path) => call(null, "GET", path)));
    const nonces = answers.map(({ headers, body }) => {
      const nonce = /'nonce-([^']+)'/.exec(headers.get("content-security-policy") ?? "")?.[1];
      expect(body).toContain(`nonce="${nonce}"`);
      return nonce;
    });
    expect(nonces[0]).not.toBe(nonces[1]);
  });

  it("has nothing inline on the dashboard, and says without a script what it is and where else to look", async () => {
    const { headers, body } = await call(null, "GET", "/");
    expect(headers.get("content-security-policy")).toContain("script-src 'self'; style-src 'self'");
    expect(body).not.toMatch(/<style|style=|<script(?![^>]* src=)| on[a-z]+=/);
    expect(body).toContain("<title>understudy</title>");
    expect(body).toMatch(/<noscript>[^]*Trains a small language model[^]*<\/noscript>/);
    for (const link of ["/playground", "/docs", "/openapi.json", "/healthz"]) expect(body).toContain(`href="${link}"`);
  });

  it("isolates the playground, which may compile wasm and nothing else", async () => {
    const { headers, body } = await call(null, "GET", "/playground");
    expect(headers.get("content-security-policy")).toContain("script-src 'self' 'wasm-unsafe-eval'; style-src 'self'");
    expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
    expect(headers.get("cross-origin-embedder-policy")).toBe("require-corp");
    expect(body).not.toMatch(/<style|style=|<script(?![^>]* src=)| on[a-z]+=/);
  });
});

describe("health", () => {
  it("asks record and pool", async () => {
    expect(await call(null, "GET", "/healthz")).toMatchObject({
      status: 200,
      body: { status: "ok", d1: "ok", pool: "ok" },
    });
  });
});
