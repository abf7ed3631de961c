// Whether an answer holds a reference among other words.
import { normalizedWords } from "./exact-match.ts";

/** For each place of `run`, how many of its first words end there too: where to go on after a mismatch. */
function fallbacks(run: readonly string[]): number[] {
  const lengths = [0];
  let length = 0;
  for (const word of run.slice(1)) {
    while (length > 0 && word !== run[length]) length = lengths[length - 1] ?? 0;
    if (word === run[length]) length++;
    lengths.push(length);
  }
  return lengths;
}

/**
 * Whether the words of `run` stand side by side in `words`, in `O(|words| + |run|)`.
 *
 * Source: D. Knuth, J. Morris, V. Pratt, "Fast pattern matching in strings", SIAM Journal on Computing 6, 1977.
 */
function holdsRun(words: readonly string[], run: readonly string[]): boolean {
  const lengths = fallbacks(run);
  let length = 0;
  for (const word of words) {
    while (length > 0 && word !== run[length]) length = lengths[length - 1] ?? 0;
    if (word === run[length]) length++;
    if (length === run.length) return true;
  }
  return false;
}

/**
 * Whether a normalised reference occurs in the normalised response as a run of whole words.
 *
 * A reference without words occurs only in a response without words: it would otherwise be everywhere.
 * Source: the usual "contains" or inclusion accuracy of question answering, on exact match's normal form.
 */
export function contains(response: string, references: readonly string[]): boolean {
  const words = normalizedWords(response);
  return references.some((reference) => {
    const run = normalizedWords(reference);
    return run.length === 0 ? words.length === 0 : holdsRun(words, run);
  });
}
