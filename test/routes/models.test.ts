import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { Job } from "../../src/wire/jobs.ts";
import { Model, ModelList } from "../../src/wire/models.ts";
import { facts } from "../services/project.ts";
import type { FakeWorker } from "../pool/fake-worker.ts";
import { call, dial, jsonl, newKey, newProject, upload, walk } from "./harness.ts";
import type { TestProject } from "./harness.ts";

let project: TestProject;
let key: string;
let worker: FakeWorker;
beforeAll(async () => {
  project = await newProject();
  key = await newKey(project, "write");
  worker = await dial(await newKey(project, "worker"));
  await worker.hello({ slots: 1, models: ["tiny"] });
});

const local = (name: string) => ({ json: { name, source: { type: "local", name: "tiny" } } });
const prune = (name: string, model: string, keep: number) => ({
  json: { name, source: { type: "prune", model, keep_layers: keep } },
});

/** Answers the worker's next lease; returns what it was asked to load. */
async function answerPrepare(output: "facts" | "failure" = "facts", found = facts()) {
  const { job, fence, payload } = await worker.lease();
  if (payload?.kind !== "prepare") throw new Error("not a prepare job");
  const frame = { job, fence, lineage: null };
  if (output === "failure") {
    await worker.ask({ type: "fail", ...frame, code: "model_missing", detail: "no such file", retryable: false });
  } else {
    await worker.ask({ type: "result", ...frame, output: { kind: "prepare", facts: found }, artifact: null });
  }
  return payload.model;
}

async function ready(name: string, found = facts()) {
  const [{ body }] = await Promise.all([
    call(key, "POST", "/v1/models", { ...local(name), headers: { prefer: "wait=10" } }),
    answerPrepare("facts", found),
  ]);
  return body;
}

/** Once D1 has followed the pool. */
async function recorded(id: string, status: string): Promise<void> {
  for (let i = 0; i < 100; i++) {
    const row = await env.DB.prepare("SELECT status FROM models WHERE id = ?").bind(id).first<{ status: string }>();
    if (row?.status === status) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`the record never said ${status}`);
}

describe("a model", () => {
  it("is queued until a worker has loaded it once, then ready, in the pool's words and the record's", async () => {
    const made = await call(key, "POST", "/v1/models", local("teacher"));
    const queued = Model.parse(made.body);
    expect(made).toMatchObject({ status: 202 });
    expect(made.headers.get("location")).toBe(`/v1/models/${queued.id}`);
    expect(queued).toMatchObject({ name: "teacher", status: "queued", facts: null, source: { type: "local" } });
    const asked = await answerPrepare();
    expect(asked).toEqual({ model: queued.id, base: queued.source, layer_indices: null, weights_digest: null });
    expect((await call(key, "GET", "/v1/models/teacher")).body).toMatchObject({ status: "ready", facts: facts() });
    await recorded(queued.id, "ready");
    expect((await call(key, "GET", `/v1/models/${queued.id}`)).body).toMatchObject({ status: "ready", facts: facts() });
    const job = Job.parse((await call(key, "GET", `/v1/jobs/${queued.job ?? ""}`)).body);
    expect(job).toMatchObject({
      kind: "prepare",
      status: "completed",
      subject: queued.id,
      result: { status: "ready" },
    });
  });

  it("is waited for", async () => {
    const asked = call(key, "POST", "/v1/models", { ...local("waited"), headers: { prefer: "wait=10" } });
    await answerPrepare();
    const answer = await asked;
    expect(answer.headers.get("preference-applied")).toBe("wait=10");
    expect([answer.status, Model.parse(answer.body).status]).toEqual([200, "ready"]);
  });

  it("that cannot be loaded says why", async () => {
    const { body } = await call(key, "POST", "/v1/models", local("broken"));
    await answerPrepare("failure");
    const failed = await call(key, "GET", `/v1/models/${body.id}`);
    expect(failed.body).toMatchObject({ status: "failed", error: { code: "model_missing", message: "no such file" } });
    const used = await call(key, "POST", "/v1/models", prune("of-broken", "broken", 1));
    expect(used).toMatchObject({ status: 409, body: { error: { code: "model_not_ready", param: "source.model" } } });
    expect(used.body.error.message).toContain("no such file");
  });

  it("has a name of its own, and replays under an Idempotency-Key", async () => {
    const request = { ...local("named"), headers: { "idempotency-key": "m-1" } };
    const first = await call(key, "POST", "/v1/models", request);
    await answerPrepare();
    const again = await call(key, "POST", "/v1/models", request);
    expect(again.body).toMatchObject({ id: first.body.id, job: first.body.job });
    const taken = await call(key, "POST", "/v1/models", local("named"));
    expect(taken).toMatchObject({ status: 409, body: { error: { code: "name_taken" } } });
    const other = { ...local("renamed"), headers: { "idempotency-key": "m-1" } };
    expect((await call(key, "POST", "/v1/models", other)).status).toBe(422);
    expect(worker.offered).toBe(0);
  });

  it.each([
    ["a source that is not", { name: "x", source: { type: "url", url: "http://x" } }, "source.type"],
    ["a path for a name", { name: "x", source: { type: "local", name: "/etc/passwd" } }, "source.name"],
    ["a branch for a commit", { name: "x", source: { type: "hub", repo: "a/b", revision: "main" } }, "source.revision"],
    ["a repository without owner", { name: "x", source: { type: "hub", repo: "b", revision: "0" } }, "source.repo"],
    ["an unknown field", { name: "x", source: { type: "local", name: "a", path: "b" } }, "source.path"],
    ["no layers", { name: "x", source: { type: "prune", model: "teacher", keep_layers: 0 } }, "source.keep_layers"],
    ["more layers", { name: "x", source: { type: "prune", model: "teacher", keep_layers: 31 } }, "source.keep_layers"],
  ])("with %s is refused", async (_, json, param) => {
    expect(await call(key, "POST", "/v1/models", { json })).toMatchObject({ status: 400, body: { error: { param } } });
  });
});

describe("a pruned copy", () => {
  it("keeps layers spread evenly, and of a copy those of the first base", async () => {
    const base = await ready("base");
    const half = await call(key, "POST", "/v1/models", prune("half", "base", 15));
    expect(half.body.source).toEqual({ type: "prune", model: base.id, keep_layers: 15 });
    const asked = await answerPrepare();
    // floor(i * 29 / 14 + 0.5)
    expect(asked.layer_indices).toEqual([0, 2, 4, 6, 8, 10, 12, 15, 17, 19, 21, 23, 25, 27, 29]);
    expect(asked.base).toEqual({ type: "local", name: "tiny" });

    const indices = asked.layer_indices;
    const small = await ready("small", facts({ layers: 15, layer_indices: indices }));
    expect(small.status).toBe("ready");
    await call(key, "POST", "/v1/models", prune("smaller", "small", 3));
    expect((await answerPrepare()).layer_indices).toEqual([0, 15, 29]);
    await call(key, "POST", "/v1/models", prune("one", "small", 1));
    expect((await answerPrepare()).layer_indices).toEqual([0]);
  });

  it("of a model that is not there is a 404", async () => {
    const answer = await call(key, "POST", "/v1/models", prune("x", "nobody", 2));
    expect(answer).toMatchObject({ status: 404, body: { error: { param: "source.model" } } });
    const checkpoint = await call(key, "POST", "/v1/models", prune("x", "run_x@3", 2));
    expect(checkpoint).toMatchObject({ status: 404, body: { error: { param: "source.model" } } });
  });

  it("of a model that is not ready waits for it", async () => {
    await call(key, "POST", "/v1/models", local("slow"));
    const early = await call(key, "POST", "/v1/models", prune("x", "slow", 2));
    expect(early).toMatchObject({ status: 409, body: { error: { code: "model_not_ready" } } });
    expect(early.headers.get("x-should-retry")).toBe("true");
    await answerPrepare();
    expect((await call(key, "POST", "/v1/models", prune("soon", "slow", 2))).status).toBe(202);
    await answerPrepare();
  });
});

describe("the registry", () => {
  it("is walked page by page, in OpenAI's shape", async () => {
    const { body } = await call(key, "GET", "/v1/models");
    const first = ModelList.parse(body).data[0];
    expect(first).toMatchObject({ object: "model", created: expect.any(Number), owned_by: expect.any(String) });
    const all = await walk(key, "/v1/models", 3);
    expect(all.map(({ id }) => id)).toEqual((await walk(key, "/v1/models", 100)).map(({ id }) => id));
  });

  it("shows nothing of another project", async () => {
    const other = await newProject();
    expect((await call(other.admin, "GET", "/v1/models/teacher")).status).toBe(404);
    expect((await call(other.admin, "DELETE", "/v1/models/teacher")).status).toBe(404);
    expect((await call(other.admin, "GET", "/v1/models")).body.data).toEqual([]);
  });

  it("lets a model go, unless a copy, a run or an evaluation names it", async () => {
    const base = await ready("kept");
    await call(key, "POST", "/v1/models", prune("copy", "kept", 2));
    await answerPrepare();
    const refused = await call(key, "DELETE", `/v1/models/${base.id}`);
    expect(refused).toMatchObject({ status: 409, body: { error: { code: "in_use" } } });
    expect((await call(key, "DELETE", "/v1/models/copy")).status).toBe(200);
    expect((await call(key, "DELETE", "/v1/models/kept")).body).toMatchObject({ id: base.id, deleted: true });
    expect((await call(key, "GET", `/v1/models/${base.id}`)).status).toBe(404);
  });

  it("keeps the models of a run", async () => {
    await ready("lead");
    await ready("understudy");
    await upload(key, "name=data", jsonl({ prompt: "a", completion: "b" }));
    const run = await call(key, "POST", "/v1/runs", {
      json: {
        name: "r",
        teacher: "lead",
        student: { model: "understudy" },
        dataset: "data",
        objective: { type: "dpkd" },
      },
    });
    expect(run.status).toBeLessThan(300);
    for (let i = 0; (await call(key, "GET", "/v1/runs")).body.data.length === 0 && i < 100; i++) {
      await new Promise((done) => setTimeout(done, 50));
    }
    for (const path of ["/v1/models/lead", "/v1/models/understudy", "/v1/datasets/data"]) {
      const answer = await call(key, "DELETE", path);
      expect(answer).toMatchObject({ status: 409, body: { error: { code: "in_use" } } });
      expect(answer.body.error.message).toContain(run.body.id);
    }
  });
});
