// What tests of the edge share: a run with a checkpoint, and an export of it as a scripted worker answers it.
import { env } from "cloudflare:workers";
import type { ExportOutput, Precision } from "../../src/wire/exports.ts";
import type { Lease } from "../../src/wire/pool.ts";
import { Run } from "../../src/wire/runs.ts";
import { sha256 } from "../../src/services/identity.ts";
import { FakeWorker } from "../pool/fake-worker.ts";
import type { TestProject } from "../services/project.ts";
import { rows } from "../services/project.ts";
import { edgeModel } from "./edge-model.ts";
import { ask } from "./method.ts";
import { train } from "./training.ts";

/** A run of two steps whose second left a checkpoint; its teacher is `teacher`. */
export async function runWithCheckpoint(project: TestProject): Promise<string> {
  await project.dataset("short", rows(20, "train"));
  await project.model("teacher");
  const asked = {
    name: "distil",
    teacher: "teacher",
    student: { prune: { model: "teacher", keep_layers: 3 } },
    dataset: "short",
    objective: { type: "dpkd" },
    optimizer: { total_steps: 4 },
    checkpoint_every: 2,
  };
  const { id } = Run.parse((await ask(project, "POST", "/v1/runs", asked)).body);
  const worker = await FakeWorker.connect(project.pool);
  await ask(project, "POST", `/v1/runs/${id}/steps`, { to: 2 });
  while ((await train(worker, await worker.lease())) < 2);
  worker.close();
  return id;
}

/** One file of two parts, stored unless a test wants them missing. */
export async function exportOutput(
  { project, job, fence }: Lease,
  precision: Precision,
  { stored = true } = {},
): Promise<ExportOutput> {
  const parts = await Promise.all(
    ["first ", "second"].map(async (text) => {
      const digest = await sha256(text);
      const key = `${project}/${job}/${fence}/${digest}`;
      if (stored) await env.BLOBS.put(key, text);
      return { key, bytes: text.length, sha256: digest };
    }),
  );
  const file = { name: "student.onnx", bytes: 12, sha256: await sha256("first second"), parts };
  const difference = { responses: 4, tokens: 40, mean: 0.1, max: 0.5, allowed: 0.15 };
  return { kind: "export", model: edgeModel(precision), difference, files: [file] };
}

/** Has a scripted worker make the export of the run's checkpoint at step 2. */
export async function exportCheckpoint(project: TestProject, run: string, precision: Precision): Promise<void> {
  const worker = await FakeWorker.connect(project.pool, { kinds: ["export"] });
  const path = `/v1/runs/${run}/checkpoints/2/exports`;
  await ask(project, "POST", path, { precision });
  const lease = await worker.lease();
  const { job, fence, lineage } = lease;
  const output = await exportOutput(lease, precision);
  await worker.ask({ type: "result", job, fence, lineage, output, artifact: null });
  worker.close();
  for (let tries = 0; (await ask(project, "GET", `${path}/${precision}`)).status !== 200; tries++) {
    if (tries > 50) throw new Error("the record does not follow the pool");
    await scheduler.wait(20);
  }
}
