// An evaluation's own pattern, found in linear time whatever the pattern: it comes from a user.
import { RE2JS, RE2JSException } from "re2js";

export type CompiledPattern = RE2JS;

/** Why a pattern cannot be used, in words for the one who wrote it. */
export class PatternError extends Error {
  override readonly name = "PatternError";
}

/** Instructions of a compiled pattern: matching takes up to this many steps a character, and `.{1000}` alone is 1,000. */
const MAX_PROGRAM = 500;

/** RE2's syntax: no backreference, no look-around. Throws PatternError. */
export function compilePattern(pattern: string): CompiledPattern {
  const compiled = compileSyntax(pattern);
  const size = compiled.programSize();
  if (size <= MAX_PROGRAM) return compiled;
  throw new PatternError(`it expands to ${size} steps, ${MAX_PROGRAM} at the most; repeat less`);
}

function compileSyntax(pattern: string): CompiledPattern {
  try {
    return RE2JS.compile(pattern);
  } catch (cause) {
    if (!(cause instanceof RE2JSException)) throw cause;
    throw new PatternError(cause.message, { cause });
  }
}

/**
 * Whether the pattern is found anywhere in the response; null where the evaluation has none.
 *
 * Source: RE2's syntax and semantics, R. Cox, "Regular expression matching in the wild", 2010.
 */
export const regexMatch = (response: string, pattern: CompiledPattern | null): boolean | null =>
  pattern === null ? null : pattern.test(response);
