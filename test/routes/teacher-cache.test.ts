// The teacher's work shared between a project's workers: created once, verified, of one project alone.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { MAX_BLOB_BYTES } from "../../src/config.ts";
import { sha256 } from "../../src/services/identity.ts";
import type { Lease } from "../../src/wire/pool.ts";
import { OPERATOR, call, dial, newKey, newProject } from "./harness.ts";
import type { TestProject } from "./harness.ts";

interface Holder {
  project: TestProject;
  secret: string;
  lease: Lease;
}

/** A worker of a project of its own, with the lease of a job. */
async function holder(): Promise<Holder> {
  const project = await newProject();
  const secret = await newKey(project, "worker");
  const worker = await dial(secret);
  await worker.hello();
  await call(project.admin, "POST", "/v1/models", { json: { name: "m", source: { type: "local", name: "tiny" } } });
  return { project, secret, lease: await worker.lease() };
}

let mine: Holder;
let theirs: Holder;
beforeAll(async () => {
  mine = await holder();
  theirs = await holder();
});

const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(new TextEncoder().encode(text));
const keyOf = (label: string): Promise<string> => sha256(`key of ${label}`);
const path = (key: string, { lease }: Holder, fence = lease.fence) =>
  `/v1/teacher-cache/${key}?owner=${lease.job}&fence=${fence}`;

async function put(key: string, text: string, who: Holder, headers: Record<string, string> = {}) {
  const content = bytes(text);
  return call(who.secret, "PUT", path(key, who), {
    raw: content,
    headers: {
      "content-type": "application/octet-stream",
      "content-length": String(content.byteLength),
      "x-content-sha256": await sha256(content),
      ...headers,
    },
  });
}
const get = (key: string, who: Holder) => call(who.secret, "GET", path(key, who));

describe("an entry of the teacher cache", () => {
  it("is absent, then stored, then read with its digest", async () => {
    const key = await keyOf("first");
    expect(await get(key, mine)).toMatchObject({ status: 404, body: { error: { code: "not_found" } } });
    expect((await put(key, "hidden states", mine)).status).toBe(200);
    const read = await get(key, mine);
    expect(read).toMatchObject({ status: 200, body: "hidden states" });
    expect(read.headers.get("x-content-sha256")).toBe(await sha256("hidden states"));
    expect(read.headers.get("content-length")).toBe("13");
    expect(await env.BLOBS.head(`${mine.project.id}/teacher_cache/${key}`)).not.toBeNull();
  });

  it("stays as it was first stored", async () => {
    const key = await keyOf("twice");
    await put(key, "one", mine);
    expect((await put(key, "one", mine)).status).toBe(200);
    expect((await put(key, "another", mine)).status).toBe(200);
    expect((await get(key, mine)).body).toBe("one");
  });

  it("of other bytes than the header says is refused, and nothing is stored", async () => {
    const key = await keyOf("wrong");
    const answer = await put(key, "this", mine, { "x-content-sha256": await sha256("that") });
    expect(answer).toMatchObject({ status: 422, body: { error: { code: "digest_mismatch" } } });
    expect((await get(key, mine)).status).toBe(404);
  });

  it("is never another project's, though the key is the same", async () => {
    const key = await keyOf("secret");
    await put(key, "mine", mine);
    expect((await get(key, theirs)).status).toBe(404);
    await put(key, "theirs", theirs);
    expect((await get(key, mine)).body).toBe("mine");
    expect((await get(key, theirs)).body).toBe("theirs");
    // A key of one project with the other's lease.
    const stale = { status: 409, body: { error: { code: "stale_fence" } } };
    expect(await call(theirs.secret, "GET", path(key, mine))).toMatchObject(stale);
  });

  it("needs the live lease at its fence, and a worker's key", async () => {
    const key = await keyOf("fenced");
    const stale = { status: 409, body: { error: { code: "stale_fence" } } };
    expect(await call(mine.secret, "GET", path(key, mine, mine.lease.fence + 1))).toMatchObject(stale);
    const other = await newKey(mine.project, "worker");
    expect(await call(other, "GET", path(key, mine))).toMatchObject(stale);
    expect(await put(key, "a", { ...mine, secret: other })).toMatchObject(stale);
    for (const secret of [mine.project.admin, OPERATOR]) {
      expect((await call(secret, "GET", path(key, mine))).status).toBe(403);
      expect((await put(key, "a", { ...mine, secret })).status).toBe(403);
    }
    expect(await env.BLOBS.head(`${mine.project.id}/teacher_cache/${key}`)).toBeNull();
  });

  it.each([
    ["over 32 MiB", { "content-length": String(MAX_BLOB_BYTES + 1) }, 413, null],
    ["without its digest", { "x-content-sha256": "" }, 400, "x-content-sha256"],
  ])("%s is refused", async (_, headers, status, param) => {
    const answer = await put(await keyOf("large"), "a", mine, headers);
    expect(answer).toMatchObject({ status, body: { error: { param } } });
  });

  it.each([
    ["a key that is no digest", () => path("abc", mine), 404],
    ["no owner", () => `/v1/teacher-cache/${"0".repeat(64)}?fence=1`, 400],
    ["no fence", () => `/v1/teacher-cache/${"0".repeat(64)}?owner=${mine.lease.job}`, 400],
  ])("with %s is refused", async (_, of, status) => {
    expect((await call(mine.secret, "GET", of())).status).toBe(status);
  });
});
