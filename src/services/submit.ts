// Handing a job to the pool, and waiting for its end.
import { MAX_INLINE_BYTES } from "../config.ts";
import type { JobState, SubmitJob } from "../pool/api.ts";
import { blobKey, putBlob } from "../store/blobs.ts";
import type { BlobRef } from "../wire/blobs.ts";
import type { ModelRef } from "../wire/models.ts";
import type { Context } from "./context.ts";
import { digest, sha256 } from "./identity.ts";
import { jobError } from "./job-view.ts";
import { unwrap } from "./wait.ts";

type InlinePayload = NonNullable<SubmitJob["payload"]>;

export interface Ask {
  id: string;
  /** The validated body: its digest is what the id stands for. */
  asked: unknown;
  /** The same with its models' names pinned: the result is made of it. */
  request: unknown;
  payload: InlinePayload;
  models: readonly ModelRef[];
  cost: number;
}

async function storePayload(ctx: Context, owner: string, json: string): Promise<BlobRef> {
  const sha = await sha256(json);
  const bytes = new TextEncoder().encode(json);
  const key = blobKey({ project: ctx.project.id, owner, fence: 0, sha256: sha });
  await putBlob(ctx.env.BLOBS, key, bytes, sha);
  return { key, bytes: bytes.byteLength, sha256: sha };
}

const localModels = (models: readonly ModelRef[]): string[] => [
  ...new Set(models.flatMap(({ base }) => (base.type === "local" ? [base.name] : []))),
];

/** Submits a job; a payload too large for a frame goes through R2. */
export async function submit(ctx: Context, ask: Ask): Promise<JobState> {
  const json = JSON.stringify(ask.payload);
  // A character is at most three bytes of UTF-8.
  const inline = json.length * 3 <= MAX_INLINE_BYTES;
  const job: SubmitJob = {
    id: ask.id,
    project: ctx.project.id,
    digest: await digest(ask.asked),
    subject: null,
    request: JSON.stringify(ask.request),
    payload: inline ? ask.payload : null,
    artifact: inline
      ? null
      : { kind: ask.payload.kind, localModels: localModels(ask.models), blob: await storePayload(ctx, ask.id, json) },
    cost: ask.cost,
  };
  return unwrap(await ctx.pool.submitJob(job)).resource;
}

/** The job after at most `seconds`; throws the error of one that failed or was cancelled. */
export async function settled(ctx: Context, job: JobState, seconds: number): Promise<JobState> {
  const terminal = job.status !== "queued" && job.status !== "running";
  const after = terminal || seconds === 0 ? job : await ctx.pool.waitJob(ctx.project.id, job.id, seconds * 1000);
  const now = after ?? job;
  if (now.status === "failed" || now.status === "cancelled") throw jobError(now);
  return now;
}
