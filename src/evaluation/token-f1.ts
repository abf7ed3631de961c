// Token F1 of question answering, on exact match's normal form.
import { normalizedWords } from "./exact-match.ts";
import { fMeasure, overlap } from "./overlap.ts";

function f1(response: readonly string[], reference: readonly string[]): number {
  if (response.length === 0 || reference.length === 0) return response.length === reference.length ? 1 : 0;
  const shared = overlap(response, reference);
  return fMeasure(shared / response.length, shared / reference.length);
}

/**
 * F1 of the words that response and reference share as bags, 0 to 1, the best over the references; of two texts without
 * words 1, where only one has none 0.
 *
 * `P = shared / |response|`, `R = shared / |reference|`, `F1 = 2 P R / (P + R)`.
 * Source: P. Rajpurkar et al., "SQuAD: 100,000+ questions for machine comprehension of text", 2016; unlike there,
 * articles stay, as in exact match.
 */
export function tokenF1(response: string, references: readonly string[]): number {
  const words = normalizedWords(response);
  return Math.max(0, ...references.map((reference) => f1(words, normalizedWords(reference))));
}
