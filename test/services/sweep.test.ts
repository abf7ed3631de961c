import { createExecutionContext, createScheduledController, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { ORPHAN_BLOB_MS } from "../../src/config.ts";
import worker from "../../src/index.ts";
import { sha256 } from "../../src/services/identity.ts";
import { sweep } from "../../src/services/sweep.ts";
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
