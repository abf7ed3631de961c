// A request's pattern, refused here if it cannot be used.
import { ApiError } from "../errors.ts";
import { PatternError, compilePattern } from "../evaluation/regex-match.ts";
import type { CompiledPattern } from "../evaluation/regex-match.ts";

/** `param`: the request's field that holds it. */
export function requestedPattern(pattern: string | null, param = "pattern"): CompiledPattern | null {
  if (pattern === null) return null;
  try {
    return compilePattern(pattern);
  } catch (cause) {
    if (!(cause instanceof PatternError)) throw cause;
    throw new ApiError("invalid_request", `${param}: ${cause.message}; write it in RE2's syntax.`, { param, cause });
  }
}
