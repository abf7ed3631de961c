// What two bags of words share, and the F-measure of it.

/** How often each item occurs. */
function counts(items: readonly string[]): Map<string, number> {
  const bag = new Map<string, number>();
  for (const item of items) bag.set(item, (bag.get(item) ?? 0) + 1);
  return bag;
}

/** How many items two bags share: `sum over items of min(count in a, count in b)`. */
export function overlap(a: readonly string[], b: readonly string[]): number {
  const bag = counts(a);
  let shared = 0;
  for (const [item, count] of counts(b)) shared += Math.min(count, bag.get(item) ?? 0);
  return shared;
}

/** `F = 2 P R / (P + R)`, 0 where both are 0; in this order of operations rouge-score's and SQuAD's to the last bit. */
export const fMeasure = (precision: number, recall: number): number =>
  precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0;
