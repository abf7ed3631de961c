// ROUGE-L with Porter stemming, equal to the Python package rouge-score 0.1.2.
import { lcsLength } from "./lcs.ts";
import { stem } from "./porter.ts";

/** Runs of [a-z0-9] of the lower-cased text; those of more than three letters are stemmed. */
export const tokenize = (text: string): string[] =>
  (text.toLowerCase().match(/[a-z0-9]+/g) ?? []).map((token) => (token.length > 3 ? stem(token) : token));

function fMeasure(reference: readonly string[], response: readonly string[]): number {
  if (reference.length === 0 || response.length === 0) return 0;
  const common = lcsLength(reference, response);
  const precision = common / response.length;
  const recall = common / reference.length;
  // In this order of operations the result is rouge-score's to the last bit.
  return precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0;
}

/**
 * F-measure of the longest common subsequence, 0 to 1, the best over the references; 0 where either has no token.
 *
 * `P = LCS / |response|`, `R = LCS / |reference|`, `F = 2 P R / (P + R)`.
 * Source: C.-Y. Lin, "ROUGE: a package for automatic evaluation of summaries", 2004; equal to rouge-score 0.1.2.
 */
export function rougeL(response: string, references: readonly string[]): number {
  const tokens = tokenize(response);
  return Math.max(0, ...references.map((reference) => fMeasure(tokenize(reference), tokens)));
}
