// What a scripted worker does with its leases: takes steps, keeps checkpoints, answers the items of an evaluation.
import { env } from "cloudflare:workers";
import { sha256 } from "../../src/services/identity.ts";
import type { Lease } from "../../src/wire/pool.ts";
import type { FakeWorker } from "../pool/fake-worker.ts";
import { metrics, stepHash, stepPrev } from "../pool/fixtures.ts";
import { hash } from "../services/project.ts";

/** The lease's steps, then a checkpoint of two parts where one is asked for, then the end; the last step taken. */
export async function train(worker: FakeWorker, lease: Lease): Promise<number> {
  const { job, fence, payload } = lease;
  const lineage = lease.lineage ?? 0;
  if (payload?.kind !== "train") throw new Error("not a train lease");
  const { run, from, to, spec } = payload;
  const frame = { job, run, fence, lineage };
  if (payload.rows === null) {
    const report = { kept: 20, skipped: 0, skipped_examples: [], digest: hash("rows") };
    await worker.ask({ type: "rows", ...frame, rows: report });
  }
  for (let n = from; n <= to; n++) await takeStep(worker, lease, n);
  for (const step of payload.checkpoint_at) {
    await worker.ask({ type: "checkpoint", ...frame, state: await checkpoint(lease, run, step) });
  }
  const state_sha256 = to === spec.optimizer.total_steps ? hash("state") : null;
  const output = { kind: "train" as const, head: to, state_sha256 };
  await worker.ask({ type: "result", job, fence, lineage, output, artifact: null });
  return to;
}

export async function takeStep(worker: FakeWorker, { job, fence, lineage, payload }: Lease, n: number): Promise<void> {
  if (payload?.kind !== "train") throw new Error("not a train lease");
  const frame = { job, run: payload.run, fence, lineage: lineage ?? 0 };
  await worker.ask({ type: "step", ...frame, n, prev: stepPrev(n), hash: stepHash(n), metrics: metrics() });
}

async function checkpoint({ project: owner, fence }: Lease, run: string, step: number) {
  const parts = await Promise.all(
    ["first ", "second"].map(async (text) => {
      const digest = await sha256(text);
      const key = `${owner}/${run}/${fence}/${digest}`;
      await env.BLOBS.put(key, text);
      return { key, bytes: text.length, sha256: digest };
    }),
  );
  const file = { name: "model.safetensors", bytes: 12, sha256: await sha256("first second"), parts };
  return { step, sha256: hash(`weights at ${step}`), parameters: 1000, files: [file] };
}

/** Answers every item of a span of batches. */
export async function generate(worker: FakeWorker, lease: Lease, respond: (item: string) => string): Promise<void> {
  const { job, fence, lineage, payload } = lease;
  if (payload?.kind !== "generate") throw new Error("not a generate lease");
  for (const { batch, items } of payload.batches) {
    const answers = items.map(({ item, seed }) => {
      return { item, seed, response: respond(item), finish_reason: "stop" as const, num_tokens: 2 };
    });
    await worker.ask({ type: "items", job, fence, batch, items: answers });
  }
  const output = { kind: "generate" as const, batches: payload.batches.length };
  await worker.ask({ type: "result", job, fence, lineage, output, artifact: null });
}

/** What both models find of a response: summed log-probabilities over `tokens` tokens, 2 unless given. */
export interface Found {
  teacher: number;
  student: number;
  tokens?: number;
}

/** Scores every pair of a span of batches; where nothing is given both models answer with their name and the item's. */
export async function scorePairs(
  worker: FakeWorker,
  lease: Lease,
  judge: (item: string, seed: number) => { chosen: Found; rejected: Found },
): Promise<void> {
  const { job, fence, lineage, payload } = lease;
  if (payload?.kind !== "prefer") throw new Error("not a prefer lease");
  for (const { batch, items } of payload.batches) {
    const pairs = items.map(({ item, seed, pair }) => {
      const { chosen, rejected } = judge(item, seed);
      const side = ({ teacher, student, tokens = 2 }: Found, by: string) => ({
        response: pair === null ? `${by} on ${item}` : null,
        finish_reason: pair === null ? ("stop" as const) : null,
        num_tokens: tokens,
        teacher_logprob: teacher,
        student_logprob: student,
      });
      return { item, seed, chosen: side(chosen, "teacher"), rejected: side(rejected, "student") };
    });
    await worker.ask({ type: "pairs", job, fence, batch, items: pairs });
  }
  const output = { kind: "prefer" as const, batches: payload.batches.length };
  await worker.ask({ type: "result", job, fence, lineage, output, artifact: null });
}
