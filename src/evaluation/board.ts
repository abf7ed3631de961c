// A board: evaluations in order, with adjusted tests and groups.
import type { Comparison } from "./compare.ts";
import { detectableDifference } from "./power.ts";
import { holm } from "./tests.ts";

/** Below this an adjusted p-value counts as a real difference. */
const SIGNIFICANCE = 0.05;

export interface Ranked {
  rank: number;
  group: number;
  p_vs_best: number | null;
  p_vs_previous: number | null;
}

/** Looks up a pair's comparison, in either order; null where it was never made. */
export type PairLookup = (a: string, b: string) => Comparison | null;

type Pair = readonly [a: string, b: string];

const pairKey = ([a, b]: Pair): string => JSON.stringify(a < b ? [a, b] : [b, a]);

/** Holm over the distinct pairs given; pairs without a p-value are unknown and take no part. */
function adjust(pairs: readonly Pair[], lookup: PairLookup): Map<string, number> {
  const known = new Map<string, number>();
  for (const pair of pairs) {
    const p = lookup(...pair)?.p ?? null;
    if (p !== null) known.set(pairKey(pair), p);
  }
  const adjusted = holm([...known.values()]);
  return new Map([...known.keys()].map((key, i) => [key, adjusted[i] ?? 1]));
}

/** The pairs that a board shows: each entry with the best, and with the one before it. */
function shownPairs(ids: readonly string[]): Pair[] {
  const [best, ...others] = ids;
  if (best === undefined) return [];
  return others.flatMap((id, i): Pair[] => [
    [best, id],
    [ids[i] ?? best, id],
  ]);
}

/**
 * The group of each entry: a leader and those below it that are not significantly worse; the first that is leads the
 * next. A leader's tests are adjusted together with all tests shown: a later leader's family is the shown tests and its own.
 * An unknown test (null) shows no difference.
 */
function groups(ids: readonly string[], lookup: PairLookup): number[] {
  const shown = shownPairs(ids);
  const result: number[] = [];
  let group = 1;
  let leader = ids[0] ?? "";
  let tests = adjust(shown, lookup);
  ids.forEach((id, i) => {
    if ((tests.get(pairKey([leader, id])) ?? 1) < SIGNIFICANCE) {
      group++;
      leader = id;
      tests = adjust([...shown, ...ids.slice(i + 1).map((below): Pair => [leader, below])], lookup);
    }
    result.push(group);
  });
  return result;
}

/**
 * Ranks, groups and adjusted p-values of a board's entries.
 *
 * @param entries best first; entries of equal mean share the better rank
 */
export function rankBoard(entries: readonly { id: string; mean: number }[], lookup: PairLookup): Ranked[] {
  const ids = entries.map((entry) => entry.id);
  const adjusted = adjust(shownPairs(ids), lookup);
  const group = groups(ids, lookup);
  const [best] = ids;
  return entries.map(({ id, mean }, i) => {
    const previous = ids[i - 1];
    const test = (other: string | undefined) =>
      other === undefined ? null : (adjusted.get(pairKey([other, id])) ?? null);
    return {
      rank: 1 + entries.findIndex((other) => other.mean === mean),
      group: group[i] ?? 1,
      p_vs_best: i === 0 ? null : test(best),
      p_vs_previous: test(previous),
    };
  });
}

/** The largest over the pairs shown, so that it holds for each of them; null where no pair was compared. */
export function boardDetectableDifference(ids: readonly string[], lookup: PairLookup): number | null {
  const differences = shownPairs(ids).flatMap((pair) => {
    const comparison = lookup(...pair);
    const sd = comparison?.sd ?? null;
    return comparison === null || sd === null ? [] : [detectableDifference(sd, comparison.n)];
  });
  return differences.length === 0 ? null : Math.min(100, Math.max(...differences));
}
