import { beforeAll, describe, expect, it } from "vitest";
import { Job } from "../../src/wire/jobs.ts";
import { Checkpoint, CheckpointList, Run, RunEvent, RunList, StepList } from "../../src/wire/runs.ts";
import { FakeWorker } from "../pool/fake-worker.ts";
import { TestProject, hash, rows } from "../services/project.ts";
import { ask } from "./method.ts";
import { train } from "./training.ts";

let project: TestProject;
const body = {
  name: "distil",
  teacher: "teacher",
  student: { prune: { model: "teacher", keep_layers: 3 } },
  dataset: "short",
  objective: { type: "dpkd" },
  optimizer: { total_steps: 4 },
};
const create = async (changes: object = {}) =>
  Run.parse((await ask(project, "POST", "/v1/runs", { ...body, ...changes })).body);

beforeAll(async () => {
  project = await TestProject.create();
  await project.dataset("short", rows(20, "train"));
  await project.model("teacher");
  await project.model("other", { template_digest: hash("another") });
});

describe("creating a run", () => {
  it("resolves names and fills defaults; no step is taken", async () => {
    const answer = await ask(project, "POST", "/v1/runs", body);
    expect(answer.status).toBe(200);
    const run = Run.parse(answer.body);
    // floor(i * 29 / 2 + 0.5): 0, 15, 29.
    expect(run).toMatchObject({ status: "ready", head: 0, teacher: "teacher", student_layers: [0, 15, 29], seed: 40 });
    expect(run.objective).toMatchObject({ type: "dpkd", beta: null, kd_ratio: 0.5, granularity: "token" });
    expect(Run.parse((await ask(project, "GET", `/v1/runs/${run.id}`)).body)).toEqual(run);
  });

  it.each([
    ["a missing teacher", { teacher: null }, 400, "teacher", /dpkd needs one/],
    ["another template", { student: { model: "other" } }, 400, "student", /different chat templates/],
    ["a missing split", { split: "dev" }, 404, "split", /it has train/],
    ["a missing data set", { dataset: "none" }, 404, "dataset", /no data set none/],
    ["a missing model", { student: { model: "none" } }, 404, "student.model", /no model none/],
    [
      "too many layers",
      { student: { prune: { model: "teacher", keep_layers: 31 } } },
      400,
      "student.prune.keep_layers",
      /has 30 layers/,
    ],
    ["a length beyond the context", { max_length: 4096 }, 400, "max_length", /2048/],
    ["a prompt length that leaves no room", { max_prompt_length: 512 }, 400, "max_prompt_length", /below max_length/],
    [
      "a warm-up beyond the end",
      { optimizer: { total_steps: 4, warmup_steps: 5 } },
      400,
      "optimizer.warmup_steps",
      /4/,
    ],
    ["an inverted schedule", { optimizer: { min_learning_rate: 0.1 } }, 400, "optimizer.min_learning_rate", /0.0005/],
    ["an unknown objective's field", { objective: { type: "sft", beta: 1 } }, 400, "objective.beta", /unknown field/],
  ])("refuses %s, and says what to do", async (_, changes, status, param, message) => {
    const answer = await ask(project, "POST", "/v1/runs", { ...body, ...changes });
    expect(answer).toMatchObject({ status, body: { error: { param, message: expect.stringMatching(message) } } });
  });

  it("replays an Idempotency-Key, and refuses another body under it", async () => {
    const key = { "idempotency-key": "run-1" };
    const first = Run.parse((await ask(project, "POST", "/v1/runs", body, key)).body);
    expect(Run.parse((await ask(project, "POST", "/v1/runs", body, key)).body).id).toBe(first.id);
    expect((await ask(project, "POST", "/v1/runs", { ...body, seed: 1 }, key)).status).toBe(422);
  });

  it("sft needs no teacher, and is sent none", async () => {
    const run = await create({ teacher: null, student: { model: "teacher" }, objective: { type: "sft" } });
    expect(run).toMatchObject({ teacher: null, student_layers: null });
  });
});

describe("asking for steps", () => {
  it("refuses what it cannot take", async () => {
    const { id } = await create();
    const steps = (sent: object, headers = {}) => ask(project, "POST", `/v1/runs/${id}/steps`, sent, headers);
    expect(await steps({ count: 1 })).toMatchObject({
      status: 400,
      body: { error: { code: "idempotency_key_required" } },
    });
    expect(await steps({ count: 0 }, { "idempotency-key": "c" })).toMatchObject({
      status: 400,
      body: { error: { param: "count" } },
    });
    expect(await steps({ to: 5 })).toMatchObject({ status: 400, body: { error: { param: "to" } } });
    expect((await steps({ to: 1, count: 1 })).status).toBe(400);
    expect((await ask(project, "POST", "/v1/runs/run_none/steps", { to: 1 })).status).toBe(404);
    expect((await ask(project, "POST", "/v1/runs/nonsense/steps", { to: 1 })).status).toBe(404);
  });

  it("{to} is idempotent by itself, {count} by its key; a cancelled run takes no more", async () => {
    const { id } = await create();
    const steps = async (sent: object, headers = {}) => {
      const answer = await ask(project, "POST", `/v1/runs/${id}/steps`, sent, headers);
      expect(answer.status).toBe(202);
      return Job.parse(answer.body);
    };
    const job = await steps({ to: 2 });
    expect(job).toMatchObject({
      kind: "train",
      subject: id,
      workers_available: 0,
      note: expect.stringMatching(/No worker/),
    });
    expect((await steps({ to: 2 })).id).toBe(job.id);
    const counted = await steps({ count: 1 }, { "idempotency-key": "one" });
    expect((await steps({ count: 1 }, { "idempotency-key": "one" })).id).toBe(counted.id);
    expect((await ask(project, "POST", `/v1/runs/${id}/cancel`)).body).toMatchObject({ status: "cancelled" });
    const late = await ask(project, "POST", `/v1/runs/${id}/steps`, { to: 3 });
    expect(late).toMatchObject({ status: 409, body: { error: { code: "run_finished" } } });
  });
});

const events = (text: unknown) =>
  String(text)
    .split("\n\n")
    .filter((block) => block.startsWith("id:"))
    .map((block) => {
      const [id, type, data] = block.split("\n").map((line) => line.slice(line.indexOf(": ") + 2));
      return { id: Number(id), type, event: RunEvent.parse(JSON.parse(data ?? "")) };
    });

describe("a run, trained by a worker", () => {
  let id = "";
  let checkpointId = "";

  it("takes its steps; the answer waits for them", async () => {
    id = (await create()).id;
    const worker = await FakeWorker.connect(project.pool);
    const pending = ask(project, "POST", `/v1/runs/${id}/steps`, { to: 4 }, { prefer: "wait=10" });
    let head = 0;
    while (head < 4) head = await train(worker, await worker.lease());
    const answer = await pending;
    expect(answer.status).toBe(200);
    const job = Job.parse(answer.body);
    expect(job).toMatchObject({ status: "completed", result: { id, head: 4, status: "completed" } });
    expect(Run.parse((await ask(project, "GET", `/v1/runs/${id}`)).body).state_sha256).toBe(hash("state"));
    worker.close();
  });

  it("streams its events, and goes on after the last one seen", async () => {
    const answer = await ask(project, "GET", `/v1/runs/${id}/events`);
    expect(answer.headers.get("content-type")).toMatch(/^text\/event-stream/);
    const all = events(answer.body);
    expect(all.map((one) => one.id)).toEqual(all.map((_, i) => i + 1));
    expect(all.every((one) => one.type === one.event.type && one.id === one.event.sequence)).toBe(true);
    expect(all.filter((one) => one.type === "step")).toHaveLength(4);
    const rest = await ask(project, "GET", `/v1/runs/${id}/events`, undefined, { "last-event-id": "3" });
    expect(events(rest.body)).toEqual(all.slice(3));
    const last = String(all.at(-1)!.id);
    expect((await ask(project, "GET", `/v1/runs/${id}/events`, undefined, { "last-event-id": last })).status).toBe(204);
    expect((await ask(project, "GET", `/v1/runs/${id}/events`, undefined, { "last-event-id": "x" })).status).toBe(400);
    expect((await ask(project, "GET", "/v1/runs/run_none/events")).status).toBe(404);
  });

  it("streams what happens while it is read, each event once, until the run ends", async () => {
    const run = await create();
    const pending = ask(project, "GET", `/v1/runs/${run.id}/events`);
    await ask(project, "POST", `/v1/runs/${run.id}/steps`, { to: 1 });
    await ask(project, "POST", `/v1/runs/${run.id}/cancel`);
    const seen = events((await pending).body);
    expect(seen.map((one) => one.id)).toEqual(seen.map((_, i) => i + 1));
    expect(seen.at(-1)!.event).toMatchObject({ type: "status", data: { status: "cancelled" } });
  });

  it("lists its steps in pages once D1 has followed", async () => {
    const page = async (query: string) =>
      StepList.parse((await ask(project, "GET", `/v1/runs/${id}/steps?${query}`)).body);
    await expect.poll(async () => (await page("limit=10")).data.length).toBe(4);
    const first = await page("limit=3");
    expect(first).toMatchObject({ has_more: true });
    const second = await page(`limit=3&after=${first.last_id!}`);
    expect([...first.data, ...second.data].map((step) => step.step)).toEqual([1, 2, 3, 4]);
    expect((await ask(project, "GET", `/v1/runs/${id}/steps?after=nothing`)).status).toBe(400);
    await expect
      .poll(
        async () => RunList.parse((await ask(project, "GET", "/v1/runs")).body).data.find((run) => run.id === id)?.head,
      )
      .toBe(4);
  });

  it("keeps a checkpoint, whose file comes whole with its digest", async () => {
    const path = `/v1/runs/${id}/checkpoints`;
    const kept = Checkpoint.parse((await ask(project, "GET", `${path}/4`)).body);
    checkpointId = kept.id;
    expect(kept).toMatchObject({ id: `${id}@4`, step: 4, sha256: hash("weights at 4") });
    const [file] = kept.files;
    const download = await ask(project, "GET", file!.href);
    expect(download.body).toBe("first second");
    expect(download.headers.get("content-length")).toBe("12");
    expect(download.headers.get("etag")).toBe(`"${file!.sha256}"`);
    const again = await ask(project, "GET", file!.href, undefined, { "if-none-match": `"${file!.sha256}"` });
    expect(again.status).toBe(304);
    const other = await ask(project, "GET", `${path}/4/files/other.bin`);
    expect(other).toMatchObject({
      status: 404,
      body: { error: { message: expect.stringMatching(/it has model.safetensors/) } },
    });
    expect((await ask(project, "GET", `${path}/3`)).status).toBe(404);
    const list = async () => CheckpointList.parse((await ask(project, "GET", path)).body).data.map((one) => one.id);
    await expect.poll(list).toEqual([checkpointId]);
    const foreign = await TestProject.create();
    expect((await ask(foreign, "GET", file!.href)).status).toBe(404);
  });

  it("asking for a checkpoint that is there answers it", async () => {
    const answer = await ask(project, "POST", `/v1/runs/${id}/checkpoints`, undefined, { prefer: "wait=5" });
    expect(answer).toMatchObject({ status: 200, body: { id: checkpointId, step: 4 } });
  });

  it("cannot be deleted while a checkpoint of it is used; then it is gone", async () => {
    const user = await create({ teacher: checkpointId, student: { model: checkpointId } });
    const inUse = async () => (await ask(project, "DELETE", `/v1/runs/${id}`)).body;
    await expect.poll(inUse).toMatchObject({ error: { code: "in_use", message: expect.stringMatching(user.id) } });
    expect((await ask(project, "DELETE", `/v1/runs/${user.id}`)).status).toBe(200);
    expect((await ask(project, "DELETE", `/v1/runs/${id}`)).body).toEqual({ id, object: "run", deleted: true });
    expect((await ask(project, "GET", `/v1/runs/${id}`)).status).toBe(404);
    const { data } = RunList.parse((await ask(project, "GET", "/v1/runs")).body);
    expect(data.map((run) => run.id)).not.toContain(id);
  });
});
