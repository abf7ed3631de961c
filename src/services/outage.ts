// Failures that are neither the caller's nor the code's: a store or the pool is away for a while, and comes back.
import { z } from "zod";
import { ApiError } from "../errors.ts";

/** What the platform marks on an exception of a Durable Object's stub: of the object's code it is `remote`, and our bug.
 * Source: Cloudflare, "Error handling", Durable Objects best practices. */
const Marks = z.object({
  retryable: z.boolean().optional(),
  overloaded: z.boolean().optional(),
  durableObjectReset: z.boolean().optional(),
  durableObjectId: z.string().optional(),
  remote: z.boolean().optional(),
});

function marked(error: Error): boolean {
  const { data: marks } = Marks.safeParse(error);
  if (marks === undefined) return false;
  const away = marks.retryable === true || marks.overloaded === true || marks.durableObjectReset === true;
  return away || (marks.durableObjectId !== undefined && marks.remote !== true);
}

/** What they say. Source: Cloudflare, "Debug D1", "Troubleshooting" of Durable Objects, "Error codes" of R2. */
const SAYS = [
  /network connection (was )?lost/i,
  /durable object('s| |.)*(reset|is overloaded|storage operation exceeded timeout)/i,
  /cannot resolve (durable object|d1 db) due to transient issue/i,
  /d1 (db )?(is overloaded|storage operation exceeded timeout)/i,
  /(d1|durable object).*code was updated/i,
  /internal error; reference = /i,
  /we encountered an internal error\. please try again/i,
  /database is locked|SQLITE_BUSY/,
  /\((10001|10043|10058)\)$/,
];

/** Seconds after which it is worth asking again. */
const RETRY_S = 2;

/** Whether the error, or one that it was made of, says so. */
function isOutage(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    const { message } = cause;
    if (marked(cause) || SAYS.some((pattern) => pattern.test(message))) return true;
  }
  return false;
}

/** What a caller is told: 503 with the time to ask again where something is away for a while, else that it is our fault. */
export function apiErrorOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (isOutage(error)) {
    const message = "The service's store is away for a moment; try again in a few seconds.";
    return new ApiError("unavailable", message, { cause: error, retryAfter: RETRY_S });
  }
  return new ApiError("internal", "Something went wrong on our side; quote x-request-id.", { cause: error });
}
