// ROUGE-1 and ROUGE-2, equal to the Python package rouge-score 0.1.2.
import { fMeasure, overlap } from "./overlap.ts";
import type { Tokens } from "./rouge-tokens.ts";

/** Every n tokens in a row; no token has a space in it. */
const ngrams = (tokens: Tokens, n: number): string[] =>
  Array.from({ length: Math.max(0, tokens.length - n + 1) }, (_, i) => tokens.slice(i, i + n).join(" "));

/**
 * F-measure of the n-grams that response and reference share as bags, 0 to 1, the best over the references; 0 where
 * either has none.
 *
 * `P = shared / |response's n-grams|`, `R = shared / |reference's n-grams|`, `F = 2 P R / (P + R)`.
 * Source: C.-Y. Lin, "ROUGE: a package for automatic evaluation of summaries", 2004; equal to rouge-score 0.1.2.
 */
export function rougeN(n: number, response: Tokens, references: readonly Tokens[]): number {
  const mine = ngrams(response, n);
  const scores = references.map((reference) => {
    const theirs = ngrams(reference, n);
    const shared = overlap(mine, theirs);
    return fMeasure(shared / Math.max(mine.length, 1), shared / Math.max(theirs.length, 1));
  });
  return Math.max(0, ...scores);
}
