// ROUGE-L, equal to the Python package rouge-score 0.1.2.
import { lcsLength } from "./lcs.ts";
import { fMeasure } from "./overlap.ts";
import type { Tokens } from "./rouge-tokens.ts";

function score(response: Tokens, reference: Tokens): number {
  if (reference.length === 0 || response.length === 0) return 0;
  const common = lcsLength(reference, response);
  return fMeasure(common / response.length, common / reference.length);
}

/**
 * F-measure of the longest common subsequence, 0 to 1, the best over the references; 0 where either has no token.
 *
 * `P = LCS / |response|`, `R = LCS / |reference|`, `F = 2 P R / (P + R)`.
 * Source: C.-Y. Lin, "ROUGE: a package for automatic evaluation of summaries", 2004; equal to rouge-score 0.1.2.
 */
export const rougeL = (response: Tokens, references: readonly Tokens[]): number =>
  Math.max(0, ...references.map((reference) => score(response, reference)));
