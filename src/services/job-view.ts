// A job of the pool, as clients see it: a resource, or an error.
import { ApiError } from "../errors.ts";
import type { JobState } from "../pool/api.ts";
import type { Job } from "../wire/jobs.ts";

export type { JobState };

/** Failures of a worker that are the caller's to mend, under the same codes here. */
const CALLERS_FAULTS = ["prompt_too_long", "tokenizer_mismatch"] as const;

/** A failed or cancelled job as an error; the worker's message says what to do. */
export function jobError(job: JobState): ApiError {
  if (job.error === null) return new ApiError("job_failed", `Job ${job.id} was ${job.status}.`);
  const { code, message, retryable } = job.error;
  const known = CALLERS_FAULTS.find((fault) => fault === code);
  if (known !== undefined) return new ApiError(known, message);
  return new ApiError(retryable ? "worker_failed" : "job_failed", `Job ${job.id} failed (${code}): ${message}`);
}

/** Why a job waits, in words; null where there is nothing to explain. */
function jobNote(job: JobState): string | null {
  if (job.status !== "queued" || job.workers_available > 0) return null;
  return "No worker is connected that could take this job: it waits until one connects. See GET /v1/workers.";
}

/** A job as clients see it. */
export const presentJob = (job: JobState, result: unknown): Job => ({
  id: job.id,
  object: job.object,
  created_at: job.created_at,
  kind: job.kind,
  status: job.status,
  position: job.position,
  attempts: job.attempts,
  workers_available: job.workers_available,
  progress: job.progress,
  subject: job.subject,
  retry_of: job.retry_of,
  result,
  error: job.error,
  note: jobNote(job),
});
