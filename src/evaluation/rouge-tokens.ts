// The tokens that ROUGE counts, equal to those of the Python package rouge-score 0.1.2 with stemming.
import { stem } from "./porter.ts";

export type Tokens = readonly string[];

/** Runs of [a-z0-9] of the lower-cased text; those of more than three letters are stemmed. */
export const tokenize = (text: string): Tokens =>
  (text.toLowerCase().match(/[a-z0-9]+/g) ?? []).map((token) => (token.length > 3 ? stem(token) : token));
