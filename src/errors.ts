// One error class, one error body: OpenAI's `error` object and RFC 9457 problem details at once.
import type { ErrorBody } from "./wire/common.ts";

/** Status and title of every code that a caller may see; codes are stable, messages are not. */
const CATALOGUE = {
  invalid_json: [400, "Bad request"],
  invalid_request: [400, "Bad request"],
  invalid_row: [400, "Bad data set row"],
  tokenizer_mismatch: [400, "Teacher and student differ"],
  prompt_too_long: [400, "Prompt too long"],
  idempotency_key_required: [400, "Idempotency-Key required"],
  missing_key: [401, "Not authenticated"],
  bad_key: [401, "Not authenticated"],
  forbidden: [403, "Not allowed"],
  not_found: [404, "Not found"],
  method_not_allowed: [405, "Method not allowed"],
  model_not_ready: [409, "Model not ready"],
  name_taken: [409, "Name taken"],
  edge_unavailable: [409, "Not at the edge"],
  in_use: [409, "Still in use"],
  run_finished: [409, "Run finished"],
  not_retryable: [409, "Cannot be retried"],
  stale_fence: [409, "Lease lost"],
  too_large: [413, "Too large"],
  unsupported_media_type: [415, "Unsupported media type"],
  digest_mismatch: [422, "Digest mismatch"],
  idempotency_mismatch: [422, "Idempotency-Key reused"],
  idempotency_expired: [422, "Idempotency-Key expired"],
  job_failed: [422, "Job failed"],
  rate_limited: [429, "Too many requests"],
  queue_full: [429, "Queue full"],
  internal: [500, "Internal error"],
  worker_failed: [502, "Worker failed"],
  unavailable: [503, "Unavailable"],
} as const satisfies Record<string, readonly [number, string]>;

export type ErrorCode = keyof typeof CATALOGUE;
export type ErrorStatus = (typeof CATALOGUE)[ErrorCode][0];

interface Details {
  /** The field, query parameter or line that is at fault. */
  param?: string;
  /** Seconds after which another try may succeed; sent as `Retry-After`. */
  retryAfter?: number;
  cause?: unknown;
}

/** An error with a code from the catalogue. The message says what to do; it never holds a prompt, a response or a key. */
export class ApiError extends Error {
  readonly code: ErrorCode;
  readonly status: ErrorStatus;
  readonly param: string | null;
  readonly retryAfter: number | null;

  constructor(code: ErrorCode, message: string, details: Details = {}) {
    super(message, { cause: details.cause });
    this.name = "ApiError";
    this.code = code;
    this.status = CATALOGUE[code][0];
    this.param = details.param ?? null;
    this.retryAfter = details.retryAfter ?? null;
  }

  /** Whether the same request may succeed later. */
  get retryable(): boolean {
    return this.status === 429 || this.status >= 500 || this.code === "model_not_ready";
  }

  body(): ErrorBody {
    const title = CATALOGUE[this.code][1];
    return {
      error: { message: this.message, type: errorType(this.status), param: this.param, code: this.code },
      type: `urn:understudy:error:${this.code}`,
      title,
      status: this.status,
      detail: this.message,
    };
  }
}

/** OpenAI's `type`, by status. */
function errorType(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}
