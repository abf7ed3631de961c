import { beforeAll, describe, expect, it } from "vitest";
import { Job, JobList, WorkerList } from "../../src/wire/jobs.ts";
import { facts } from "../services/project.ts";
import { OPERATOR, call, dial, newKey, newProject, walk } from "./harness.ts";
import type { TestProject } from "./harness.ts";

let project: TestProject;
let key: string;
beforeAll(async () => {
  project = await newProject();
  key = await newKey(project, "write");
});

let count = 0;
/** A job that waits: the load of a new model. */
async function newJob(): Promise<string> {
  const name = `model-${(count += 1)}`;
  const { body } = await call(key, "POST", "/v1/models", { json: { name, source: { type: "local", name: "tiny" } } });
  return body.job;
}

describe("jobs", () => {
  it("say that they wait, and why, when no worker is there", async () => {
    const id = await newJob();
    const job = Job.parse((await call(key, "GET", `/v1/jobs/${id}`)).body);
    expect(job).toMatchObject({ id, status: "queued", position: 0, workers_available: 0, result: null, error: null });
    expect(job.note).toContain("No worker is connected");
  });

  it("are waited for as long as asked, and answered as they are then", async () => {
    const id = await newJob();
    const began = Date.now();
    const answer = await call(key, "GET", `/v1/jobs/${id}`, { headers: { prefer: "wait=1" } });
    expect(Date.now() - began).toBeGreaterThanOrEqual(950);
    expect(answer).toMatchObject({ status: 200, body: { status: "queued" } });
    expect(answer.headers.get("preference-applied")).toBe("wait=1");
  });

  it("are cancelled, and then retried as new jobs, once for each Idempotency-Key", async () => {
    const id = await newJob();
    const tooSoon = await call(key, "POST", `/v1/jobs/${id}/retry`);
    expect(tooSoon).toMatchObject({ status: 409, body: { error: { code: "not_retryable" } } });
    const cancelled = await call(key, "POST", `/v1/jobs/${id}/cancel`);
    expect(cancelled).toMatchObject({ status: 200, body: { id, status: "cancelled" } });
    const request = { headers: { "idempotency-key": "retry-1" } };
    const retried = await call(key, "POST", `/v1/jobs/${id}/retry`, request);
    expect(retried).toMatchObject({ status: 202, body: { status: "queued", retry_of: id } });
    expect(retried.headers.get("location")).toBe(`/v1/jobs/${retried.body.id}`);
    expect(retried.headers.get("retry-after")).toBe("1");
    const again = await call(key, "POST", `/v1/jobs/${id}/retry`, request);
    expect(again.body.id).toBe(retried.body.id);
  });

  it("are listed from the record, newest first", async () => {
    const some = await newProject();
    const secret = await newKey(some, "write");
    const ids: string[] = [];
    for (const name of ["a", "b", "c", "d"]) {
      const { body } = await call(secret, "POST", "/v1/models", {
        json: { name, source: { type: "local", name: "tiny" } },
      });
      ids.push(body.job);
    }
    for (let i = 0; (await walk(secret, "/v1/jobs", 100)).length < 4 && i < 100; i++) {
      await new Promise((done) => setTimeout(done, 50));
    }
    const jobs = await walk(secret, "/v1/jobs", 3);
    expect(jobs.map(({ id }) => id).sort()).toEqual(ids.sort());
    JobList.parse((await call(secret, "GET", "/v1/jobs")).body);
  });

  it("of another project are a 404", async () => {
    const id = await newJob();
    const other = await newProject();
    for (const [method, path] of [
      ["GET", `/v1/jobs/${id}`],
      ["POST", `/v1/jobs/${id}/cancel`],
      ["POST", `/v1/jobs/${id}/retry`],
    ] as const) {
      expect([path, (await call(other.admin, method, path)).status]).toEqual([path, 404]);
    }
    expect((await call(key, "GET", `/v1/jobs/${id}`)).body.status).toBe("queued");
    expect((await call(key, "GET", "/v1/jobs/nonsense")).status).toBe(404);
  });
});

describe("workers", () => {
  it("dial in with a worker key alone, as a WebSocket", async () => {
    const path = "/v1/workers/connect";
    const headers = { upgrade: "websocket" };
    expect((await call(null, "GET", path, { headers })).status).toBe(401);
    expect((await call(project.admin, "GET", path, { headers })).status).toBe(403);
    expect((await call(OPERATOR, "GET", path, { headers })).status).toBe(403);
    const plain = await call(await newKey(project, "worker"), "GET", path);
    expect(plain).toMatchObject({ status: 400, body: { error: { param: "Upgrade" } } });
  });

  it("are seen by their own project, and drained by its admin", async () => {
    const some = await newProject();
    const worker = await dial(await newKey(some, "worker"));
    await worker.hello({ kinds: ["score"], models: ["mine"] });
    const { body } = await call(some.admin, "GET", "/v1/workers");
    const [seen] = WorkerList.parse(body).data;
    expect(seen).toMatchObject({ status: "connected", kinds: ["score"], models: ["mine"], leases: [] });
    expect((await call(project.admin, "GET", "/v1/workers")).body.data).toEqual([]);
    const drain = `/v1/workers/${seen!.id}/drain`;
    expect((await call(project.admin, "POST", drain)).status).toBe(404);
    expect((await call(await newKey(some, "write"), "POST", drain)).status).toBe(403);
    expect((await call(some.admin, "POST", drain)).body).toMatchObject({ id: seen!.id, status: "draining" });
    await worker.until(() => worker.frames.some(({ type }) => type === "drain"));
    worker.close();
  });

  it("of the operator serve every project", async () => {
    const { body } = await call(OPERATOR, "POST", "/v1/keys", { json: { name: "shared", role: "worker" } });
    const worker = await dial(body.secret);
    await worker.hello();
    const [mine, theirs] = await Promise.all([newProject(), newProject()]);
    for (const { admin } of [mine, theirs]) {
      const made = await call(admin, "POST", "/v1/models", {
        json: { name: "m", source: { type: "local", name: "tiny" } },
      });
      const id: string = made.body.job;
      for (let left = 20; left > 0; left--) {
        const { job, fence, lineage } = await worker.lease();
        const output = { kind: "prepare" as const, facts: facts() };
        await worker.ask({ type: "result", job, fence, lineage, output, artifact: null });
        if (job === id) break;
      }
      expect((await call(admin, "GET", "/v1/models/m")).body.status).toBe("ready");
    }
    worker.close();
  });
});
