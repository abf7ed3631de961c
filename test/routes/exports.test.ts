// Exports of a checkpoint: made once by a worker, kept, downloaded, gone with their run.
import { beforeAll, describe, expect, it } from "vitest";
import { Export, ExportList } from "../../src/wire/exports.ts";
import { FakeWorker } from "../pool/fake-worker.ts";
import { TestProject } from "../services/project.ts";
import { exportOutput, runWithCheckpoint } from "./edge.ts";
import { ask } from "./method.ts";

let project: TestProject;
let run = "";
let path = "";

beforeAll(async () => {
  project = await TestProject.create();
  run = await runWithCheckpoint(project);
  path = `/v1/runs/${run}/checkpoints/2/exports`;
});

describe("an export", () => {
  it("is made by a worker", async () => {
    const worker = await FakeWorker.connect(project.pool);
    const pending = ask(project, "POST", path, { precision: "int4" }, { prefer: "wait=20" });
    const lease = await worker.lease();
    expect(lease.payload).toMatchObject({ kind: "export", precision: "int4", model: { model: `${run}@2` } });
    const output = await exportOutput(lease, "int4");
    const { job, fence, lineage } = lease;
    await worker.ask({ type: "result", job, fence, lineage, output, artifact: null });
    const { status, body } = await pending;
    expect(status).toBe(200);
    const made = Export.parse(body);
    expect(made).toMatchObject({ checkpoint: `${run}@2`, precision: "int4", bytes: 12, difference: { mean: 0.1 } });
    worker.close();
  });

  it("is kept: asked for again it is there at once, and listed", async () => {
    await expect.poll(async () => (await ask(project, "GET", `${path}/int4`)).status).toBe(200);
    const again = await ask(project, "POST", path, { precision: "int4" });
    expect(again.status).toBe(200);
    expect(ExportList.parse((await ask(project, "GET", path)).body).data).toEqual([Export.parse(again.body)]);
  });

  it("hands out its files, which the client may have already", async () => {
    const { files } = Export.parse((await ask(project, "GET", `${path}/int4`)).body);
    const [file] = files;
    const { status, headers, body } = await ask(project, "GET", file!.href);
    expect([status, body]).toEqual([200, "first second"]);
    const etag = headers.get("etag")!;
    expect((await ask(project, "GET", file!.href, undefined, { "if-none-match": etag })).status).toBe(304);
    expect((await ask(project, "GET", `${path}/int4/files/other`)).status).toBe(404);
  });

  it.each([
    ["a checkpoint that is not there", "/v1/runs/RUN/checkpoints/7/exports", {}, 404, "step"],
    ["an unknown precision", "/v1/runs/RUN/checkpoints/2/exports", { precision: "int2" }, 400, "precision"],
  ])("of %s is refused", async (_, where, body, status, param) => {
    const answer = await ask(project, "POST", where.replace("RUN", run), body);
    expect(answer).toMatchObject({ status, body: { error: { param } } });
  });

  it("that nobody made is a 404 that says how", async () => {
    const { status, body } = await ask(project, "GET", `${path}/fp32`);
    expect(status).toBe(404);
    expect(body).toMatchObject({ error: { message: expect.stringContaining(`POST ${path} makes one`) } });
  });

  it("of another project is not found", async () => {
    const other = await TestProject.create();
    expect((await ask(other, "GET", `${path}/int4`)).status).toBe(404);
  });

  it("goes with its run", async () => {
    await ask(project, "POST", `/v1/runs/${run}/cancel`);
    expect((await ask(project, "DELETE", `/v1/runs/${run}`)).status).toBe(200);
    expect((await ask(project, "GET", `${path}/int4`)).status).toBe(404);
  });
});

it("whose files are not stored costs the worker its socket", async () => {
  const own = await TestProject.create();
  const id = await runWithCheckpoint(own);
  const worker = await FakeWorker.connect(own.pool);
  await ask(own, "POST", `/v1/runs/${id}/checkpoints/2/exports`, {});
  const lease = await worker.lease();
  const output = await exportOutput(lease, "int8", { stored: false });
  const { job, fence, lineage } = lease;
  worker.post({ type: "result", job, fence, lineage, output, artifact: null });
  await worker.until(() => worker.closed !== null);
  expect(worker.closed?.code).toBe(1008);
});
