// The tokens that ROUGE counts, equal to those of the Python package rouge-score 0.1.2 with stemming.
import { stem } from "./porter.ts";

export type Tokens = readonly string[];

/** Tokens that are read of a response, and of a reference; of all references together. A longest common subsequence costs
 * the product of two texts' tokens: so much is a fraction of a second for a batch, whatever the texts. */
export const MOST_TOKENS = 8192;
export const MOST_REFERENCE_TOKENS = 8 * MOST_TOKENS;

/** Runs of [a-z0-9] of the lower-cased text, the first `most`; those of more than three letters are stemmed. */
export function tokenize(text: string, most = MOST_TOKENS): Tokens {
  const tokens: string[] = [];
  for (const [token] of text.toLowerCase().matchAll(/[a-z0-9]+/g)) {
    if (tokens.length === most) break;
    tokens.push(token.length > 3 ? stem(token) : token);
  }
  return tokens;
}

/** Each reference's tokens: of many long ones fewer are read of each. */
export function tokenizeAll(references: readonly string[]): Tokens[] {
  const most = Math.min(MOST_TOKENS, Math.floor(MOST_REFERENCE_TOKENS / Math.max(1, references.length)));
  return references.map((reference) => tokenize(reference, most));
}
