import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { MAX_BLOB_BYTES } from "../../src/config.ts";
import { sha256 } from "../../src/services/identity.ts";
import { BlobStored } from "../../src/wire/blobs.ts";
import type { Lease } from "../../src/wire/pool.ts";
import { OPERATOR, call, dial, newKey, newProject } from "./harness.ts";
import type { TestProject } from "./harness.ts";

let project: TestProject;
let secret: string;
let lease: Lease;

beforeAll(async () => {
  project = await newProject();
  secret = await newKey(project, "worker");
  const worker = await dial(secret);
  await worker.hello();
  await call(project.admin, "POST", "/v1/models", { json: { name: "m", source: { type: "local", name: "tiny" } } });
  lease = await worker.lease();
});

const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(new TextEncoder().encode(text));

async function put(content: Uint8Array<ArrayBuffer>, options: { digest?: string; fence?: number; key?: string } = {}) {
  const digest = options.digest ?? (await sha256(content));
  return call(options.key ?? secret, "PUT", `/v1/blobs/${lease.job}/${digest}?fence=${options.fence ?? lease.fence}`, {
    raw: content,
    headers: { "content-type": "application/octet-stream", "content-length": String(content.byteLength) },
  });
}

describe("a blob", () => {
  it("is stored under the lease's fence, verified, and read back", async () => {
    const content = bytes("weights");
    const stored = BlobStored.parse((await put(content)).body);
    expect(stored.key).toBe(`${project.id}/${lease.job}/${lease.fence}/${await sha256(content)}`);
    expect(stored.bytes).toBe(content.byteLength);
    const read = await call(secret, "GET", `/v1/blobs/${stored.key}`);
    expect(read).toMatchObject({ status: 200, body: "weights" });
    expect(read.headers.get("cache-control")).toContain("immutable");
    expect(read.headers.get("content-length")).toBe("7");
  });

  it("may be stored again, and may be empty", async () => {
    for (const content of [bytes("again"), bytes("again"), bytes(""), bytes("")]) {
      expect((await put(content)).status).toBe(200);
    }
  });

  it("with another digest is refused, and nothing is stored", async () => {
    const digest = await sha256("something else");
    expect(await put(bytes("this"), { digest })).toMatchObject({
      status: 422,
      body: { error: { code: "digest_mismatch" } },
    });
    expect(await env.BLOBS.head(`${project.id}/${lease.job}/${lease.fence}/${digest}`)).toBeNull();
    await put(bytes("something else"));
    expect((await put(bytes("this"), { digest })).status).toBe(422);
  });

  it("needs the live lease at its fence", async () => {
    const stale = { status: 409, body: { error: { code: "stale_fence" } } };
    expect(await put(bytes("a"), { fence: lease.fence + 1 })).toMatchObject(stale);
    expect(await put(bytes("a"), { key: await newKey(project, "worker") })).toMatchObject(stale);
    const digest = await sha256("a");
    const other = await call(secret, "PUT", `/v1/blobs/job_x/${digest}?fence=1`, {
      raw: bytes("a"),
      headers: { "content-length": "1" },
    });
    expect(other).toMatchObject(stale);
  });

  it.each([
    ["over 32 MiB", { "content-length": String(MAX_BLOB_BYTES + 1) }, 413, null],
    ["of unknown size", {}, 400, "Content-Length"],
  ])("%s is refused", async (_, headers, status, param) => {
    const path = `/v1/blobs/${lease.job}/${await sha256("a")}?fence=${lease.fence}`;
    const answer = await call(secret, "PUT", path, { raw: bytes("a"), headers });
    expect(answer).toMatchObject({ status, body: { error: { param } } });
  });

  it.each([
    ["a digest that is none", (job: string) => `/v1/blobs/${job}/abc?fence=1`, 404],
    ["no fence", (job: string) => `/v1/blobs/${job}/${"0".repeat(64)}`, 400],
    ["a path for an owner", () => `/v1/blobs/..%2f..%2fx/${"0".repeat(64)}?fence=1`, 404],
  ])("with %s is refused", async (_, path, status) => {
    const answer = await call(secret, "PUT", path(lease.job), { raw: "a", headers: { "content-length": "1" } });
    expect(answer.status).toBe(status);
  });

  it("is read by its project's workers and the shared ones, and by nobody else", async () => {
    const { body } = await put(bytes("mine"));
    const foreign = await newKey(await newProject(), "worker");
    const shared = await call(OPERATOR, "POST", "/v1/keys", { json: { name: "shared", role: "worker" } });
    const statuses = await Promise.all(
      [secret, shared.body.secret, foreign, project.admin].map(
        async (who) => (await call(who, "GET", `/v1/blobs/${body.key}`)).status,
      ),
    );
    expect(statuses).toEqual([200, 200, 404, 403]);
    expect((await call(secret, "GET", `/v1/blobs/${project.id}/x/1/${"0".repeat(64)}`)).status).toBe(404);
  });
});
