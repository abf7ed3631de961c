import { createExecutionContext, createScheduledController, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { ORPHAN_BLOB_MS, TEACHER_CACHE_DAYS } from "../../src/config.ts";
import worker from "../../src/index.ts";
import { sha256 } from "../../src/services/identity.ts";
import { sweep } from "../../src/services/sweep.ts";
import { discardTeacherCache, emptyTeacherCaches } from "../../src/store/blobs.ts";
import { OPERATOR, call, jsonl, newKey, newProject, upload } from "../routes/harness.ts";
import type { TestProject } from "../routes/harness.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const pair = { id: "a", split: "test", prompt: "Who?", completion: "Ann" };

let project: TestProject;
let key: string;
beforeAll(async () => {
  const { body } = await call(OPERATOR, "POST", "/v1/projects", { json: { name: "short-lived", retention_days: 2 } });
  project = { id: body.id, admin: body.admin_key };
  key = await newKey(project, "write");
});

const keysOf = async (prefix: string): Promise<string[]> =>
  (await env.BLOBS.list({ prefix })).objects.map((object) => object.key);

describe("blobs that nothing names", () => {
  it("die after a day, and not before", async () => {
    const { body } = await upload(key, "name=kept", jsonl(pair));
    const [kept] = await keysOf(`${project.id}/${body.id}/`);
    const orphan = `${project.id}/job_gone/1/${await sha256("orphan")}`;
    const foreign = `proj_gone/ds_gone/0/${await sha256("orphan")}`;
    for (const name of [orphan, foreign]) await env.BLOBS.put(name, "orphan");
    await sweep(env, Date.now() + ORPHAN_BLOB_MS - 60_000);
    expect(await env.BLOBS.head(orphan)).not.toBeNull();
    await sweep(env, Date.now() + ORPHAN_BLOB_MS + 60_000);
    expect(await env.BLOBS.head(orphan)).toBeNull();
    expect(await env.BLOBS.head(foreign)).toBeNull();
    expect(await env.BLOBS.head(kept!)).not.toBeNull();
  });

  it("are found however many there are, and those that the pool names stay", async () => {
    await call(key, "POST", "/v1/models", { json: { name: "m", source: { type: "local", name: "tiny" } } });
    const owner = "job_many";
    for (let i = 0; i < 230; i++) await env.BLOBS.put(`${project.id}/${owner}/1/${await sha256(String(i))}`, "x");
    await sweep(env, Date.now() + 2 * ORPHAN_BLOB_MS);
    expect(await keysOf(`${project.id}/${owner}/`)).toEqual([]);
  });
});

describe("the teacher cache", () => {
  const entry = (name: string) => `${project.id}/teacher_cache/${name.padStart(64, "0")}`;

  it("keeps its entries for 30 days, though nothing names them", async () => {
    await env.BLOBS.put(entry("1"), "states");
    await sweep(env, Date.now() + TEACHER_CACHE_DAYS * DAY_MS - 60_000);
    expect(await env.BLOBS.head(entry("1"))).not.toBeNull();
    await sweep(env, Date.now() + TEACHER_CACHE_DAYS * DAY_MS + 60_000);
    expect(await env.BLOBS.head(entry("1"))).toBeNull();
  });

  it("is emptied by the sweep after a data set was deleted: of that project, once", async () => {
    const other = await newProject();
    const foreign = `${other.id}/teacher_cache/${"0".repeat(64)}`;
    await upload(key, "name=leaving", jsonl(pair));
    for (const name of [entry("1"), entry("2"), foreign]) await env.BLOBS.put(name, "states");
    await sweep(env, Date.now());
    expect(await keysOf(`${project.id}/teacher_cache/`)).toHaveLength(2);
    expect((await call(key, "DELETE", "/v1/datasets/leaving")).status).toBe(200);
    await sweep(env, Date.now());
    expect(await keysOf(`${project.id}/teacher_cache/`)).toEqual([]);
    expect(await env.BLOBS.head(foreign)).not.toBeNull();
    await env.BLOBS.put(entry("3"), "states");
    await sweep(env, Date.now());
    expect(await env.BLOBS.head(entry("3"))).not.toBeNull();
  });

  it("is emptied over several sweeps where it is large", async () => {
    for (let i = 0; i < 5; i++) await env.BLOBS.put(entry(`a${i}`), "x");
    await discardTeacherCache(env.BLOBS, project.id);
    await emptyTeacherCaches(env.BLOBS, 0);
    expect((await keysOf(`${project.id}/teacher_cache/`)).length).toBeGreaterThan(4);
    await emptyTeacherCaches(env.BLOBS, 20);
    expect(await keysOf(`${project.id}/teacher_cache/`)).toEqual([]);
    expect(await keysOf("sweep/teacher_cache/")).toEqual([]);
  });
});

describe("what a project keeps for some days only", () => {
  it("goes after them: users first, then what they used", async () => {
    await upload(key, "name=old", jsonl(pair));
    const given = await call(key, "POST", "/v1/evaluations", {
      json: { name: "given", dataset: "old", responses: [{ id: "a", response: "Ann" }] },
    });
    await sweep(env, Date.now() + 2 * DAY_MS - 60_000);
    expect((await call(key, "GET", `/v1/evaluations/${given.body.id}`)).status).toBe(200);
    await sweep(env, Date.now() + 2 * DAY_MS + 60_000);
    for (const path of [`/v1/evaluations/${given.body.id}`, "/v1/datasets/old"]) {
      expect([path, (await call(key, "GET", path)).status]).toEqual([path, 404]);
    }
  });

  it("stays in projects that keep all", async () => {
    const other = await newProject();
    await upload(other.admin, "name=kept", jsonl(pair));
    await sweep(env, Date.now() + 1000 * DAY_MS);
    expect((await call(other.admin, "GET", "/v1/datasets/kept/rows")).body.data).toHaveLength(1);
  });
});

it("the scheduled handler sweeps", async () => {
  const ctx = createExecutionContext();
  worker.scheduled(createScheduledController(), env, ctx);
  await waitOnExecutionContext(ctx);
  expect(await env.BLOBS.head("sweep/cursor")).not.toBeNull();
});
