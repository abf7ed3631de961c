import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { forget } from "../../src/services/auth.ts";
import { Key, KeyList, Project } from "../../src/wire/jobs.ts";
import { OPERATOR, call, dial, newKey, newProject, walk } from "./harness.ts";
import type { TestProject } from "./harness.ts";

let project: TestProject;
beforeAll(async () => {
  project = await newProject();
});

const idempotent = (key: string) => ({ headers: { "idempotency-key": key } });

describe("projects", () => {
  it("come with an admin key, shown once", async () => {
    const request = { json: { name: "once", retention_days: 30 }, ...idempotent("project-1") };
    const first = Project.parse((await call(OPERATOR, "POST", "/v1/projects", request)).body);
    expect(first).toMatchObject({ name: "once", retention_days: 30, admin_key: expect.stringMatching(/^us_/) });
    const again = Project.parse((await call(OPERATOR, "POST", "/v1/projects", request)).body);
    expect(again).toEqual({ ...first, admin_key: null });
    expect((await call(first.admin_key, "GET", "/v1/keys")).status).toBe(200);
  });

  it("have names of their own", async () => {
    await call(OPERATOR, "POST", "/v1/projects", { json: { name: "taken" } });
    const answer = await call(OPERATOR, "POST", "/v1/projects", { json: { name: "taken" } });
    expect(answer).toMatchObject({ status: 409, body: { error: { code: "name_taken", param: "name" } } });
  });

  it("are listed page by page, without their keys", async () => {
    const all = await walk(OPERATOR, "/v1/projects", 2);
    expect(all.map(({ id }) => id)).toContain(project.id);
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    expect(all.every(({ admin_key }) => admin_key === null)).toBe(true);
  });
});

describe("keys", () => {
  it("show their secret once, and keep its digest only", async () => {
    const request = { json: { name: "one", role: "read" }, ...idempotent("key-1") };
    const first = Key.parse((await call(project.admin, "POST", "/v1/keys", request)).body);
    expect(first.secret).toMatch(/^us_[0-9A-Za-z]{24}_[0-9A-Za-z_-]{43}$/);
    const again = Key.parse((await call(project.admin, "POST", "/v1/keys", request)).body);
    expect(again).toEqual({ ...first, secret: null });
    expect((await call(first.secret, "GET", "/v1/jobs")).status).toBe(200);
    const stored = await env.DB.prepare("SELECT * FROM keys WHERE id = ?").bind(first.id).first();
    expect(JSON.stringify(stored)).not.toContain(first.secret?.slice(-43));
  });

  it("refuse an Idempotency-Key with another body", async () => {
    const one = { json: { name: "two", role: "read" }, ...idempotent("key-2") };
    const other = { json: { name: "two", role: "write" }, ...idempotent("key-2") };
    await call(project.admin, "POST", "/v1/keys", one);
    const answer = await call(project.admin, "POST", "/v1/keys", other);
    expect(answer).toMatchObject({ status: 422, body: { error: { code: "idempotency_mismatch" } } });
    expect(answer.headers.get("x-should-retry")).toBe("false");
  });

  it("refuse an Idempotency-Key that is more than a day old", async () => {
    const request = { json: { name: "old", role: "read" }, ...idempotent("key-3") };
    const { body } = await call(project.admin, "POST", "/v1/keys", request);
    const before = Date.now() - 25 * 60 * 60 * 1000;
    await env.DB.prepare("UPDATE keys SET created_at = ? WHERE id = ?").bind(before, body.id).run();
    const answer = await call(project.admin, "POST", "/v1/keys", request);
    expect(answer).toMatchObject({ status: 422, body: { error: { code: "idempotency_expired" } } });
  });

  it("of two projects do not meet under one Idempotency-Key", async () => {
    const request = { json: { name: "same", role: "read" }, ...idempotent("key-4") };
    const other = await newProject();
    const [mine, theirs] = await Promise.all([
      call(project.admin, "POST", "/v1/keys", request),
      call(other.admin, "POST", "/v1/keys", request),
    ]);
    expect(mine.body.id).not.toBe(theirs.body.id);
  });

  it("made at once with one Idempotency-Key are one key with one secret", async () => {
    const request = { json: { name: "race", role: "read" }, ...idempotent("key-5") };
    const made = await Promise.all(Array.from({ length: 5 }, () => call(project.admin, "POST", "/v1/keys", request)));
    expect(new Set(made.map(({ body }) => body.id)).size).toBe(1);
    expect(made.filter(({ body }) => body.secret !== null)).toHaveLength(1);
  });

  it("end when they are revoked, and are not listed any more", async () => {
    const secret = await newKey(project, "read");
    const id = `key_${secret.split("_")[1] ?? ""}`;
    expect((await call(secret, "GET", "/v1/jobs")).status).toBe(200);
    const gone = await call(project.admin, "DELETE", `/v1/keys/${id}`);
    expect(gone).toMatchObject({ status: 200, body: { id, object: "key", deleted: true } });
    expect((await call(secret, "GET", "/v1/jobs")).status).toBe(401);
    const listed = KeyList.parse((await call(project.admin, "GET", "/v1/keys?limit=100")).body);
    expect(listed.data.map((key) => key.id)).not.toContain(id);
    expect((await call(project.admin, "DELETE", `/v1/keys/${id}`)).status).toBe(404);
  });

  it("are remembered for ten seconds at the most elsewhere", async () => {
    const secret = await newKey(project, "read");
    const id = `key_${secret.split("_")[1] ?? ""}`;
    await call(secret, "GET", "/v1/jobs");
    await env.DB.prepare("UPDATE keys SET revoked_at = 1 WHERE id = ?").bind(id).run();
    expect((await call(secret, "GET", "/v1/jobs")).status).toBe(200);
    forget(id);
    expect((await call(secret, "GET", "/v1/jobs")).status).toBe(401);
  });

  it("close their worker's socket when they are revoked", async () => {
    const secret = await newKey(project, "worker");
    const worker = await dial(secret);
    await worker.hello();
    await call(project.admin, "DELETE", `/v1/keys/key_${secret.split("_")[1] ?? ""}`);
    await worker.until(() => worker.closed !== null);
    await expect(dial(secret)).rejects.toThrow("401");
  });

  it("of another project are a 404", async () => {
    const other = await newProject();
    const id = `key_${other.admin.split("_")[1] ?? ""}`;
    expect((await call(project.admin, "DELETE", `/v1/keys/${id}`)).status).toBe(404);
    expect((await call(other.admin, "GET", "/v1/keys")).status).toBe(200);
  });

  it("are walked page by page", async () => {
    const some = await newProject();
    for (const name of ["a", "b", "c", "d"])
      await call(some.admin, "POST", "/v1/keys", { json: { name, role: "read" } });
    const names = (await walk(some.admin, "/v1/keys", 2)).map((key) => key.name);
    expect(names.sort()).toEqual(["a", "admin", "b", "c", "d"]);
  });
});

describe("the operator", () => {
  it("makes, lists and revokes shared worker keys, and no others", async () => {
    const made = await call(OPERATOR, "POST", "/v1/keys", { json: { name: "shared", role: "worker" } });
    expect(made.body).toMatchObject({ role: "worker", secret: expect.any(String) });
    const refused = await call(OPERATOR, "POST", "/v1/keys", { json: { name: "more", role: "admin" } });
    expect(refused).toMatchObject({ status: 400, body: { error: { param: "role" } } });
    const listed = await walk(OPERATOR, "/v1/keys", 1);
    expect(listed.map(({ id }) => id)).toContain(made.body.id);
    expect((await walk(project.admin, "/v1/keys", 100)).map(({ id }) => id)).not.toContain(made.body.id);
    expect((await call(OPERATOR, "DELETE", `/v1/keys/${made.body.id}`)).status).toBe(200);
  });
});
