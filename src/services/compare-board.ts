// What is computed once, when an evaluation settles: its figures, and its tests against the others of its board.
import { BOARD_MODELS, COMPARED_VALUES, MIN_OVERLAP, MIN_RESAMPLES, RESAMPLED_VALUES, RESAMPLES } from "../config.ts";
import { compare } from "../evaluation/compare.ts";
import { GRADERS } from "../evaluation/graders.ts";
import { itemValues } from "../evaluation/items.ts";
import type { ItemValues } from "../evaluation/items.ts";
import type { Database } from "../store/database.ts";
import { comparedWith, putComparisons, rivals } from "../store/evaluations.ts";
import { gradesOf } from "../store/records.ts";
import { MetricName } from "../wire/evaluations.ts";

/** Resamples over `n` values: all of them, or as many as keep a test short. */
export const resamplesFor = (n: number): number =>
  Math.max(MIN_RESAMPLES, Math.min(RESAMPLES, Math.floor(RESAMPLED_VALUES / Math.max(n, 1))));

/** One paired test of two evaluations' values, of `n` records, under the name of what was measured. */
export const comparisonOf = (metric: string, mine: ItemValues, theirs: ItemValues, n: number) => ({
  metric,
  ...compare(mine, theirs, { minOverlap: MIN_OVERLAP, flips: resamplesFor(n) }),
});

/** Metrics whose test draws signs; with several seeds the others' do too, at fewer items a response. */
const FLIPPED = MetricName.options.filter((metric) => !GRADERS[metric].binary).length;

/** Others that an evaluation of `n` records is compared with in one call, by `flipped` tests that draw signs. */
export const rivalsAtOnce = (n: number, flipped = FLIPPED): number =>
  Math.max(1, Math.floor(COMPARED_VALUES / (flipped * Math.max(n, 1) * resamplesFor(n))));

interface Comparing<R> {
  read: (evaluation: string) => Promise<R[]>;
  /** Others to be compared with in one call. */
  atOnce: (mine: R[]) => number;
  compare: (mine: R[], theirs: R[]) => ReturnType<typeof comparisonOf>[];
}

/** Compares an evaluation with those of `others` that it has not been compared with; returns how many are left for the
 * next call. Tests are two-sided, so which of two comes first changes nothing. */
export async function compareRest<R>(
  db: Database,
  id: string,
  others: readonly { id: string }[],
  { read, atOnce, compare: compareTwo }: Comparing<R>,
): Promise<number> {
  const done = await comparedWith(db, id);
  const open = others.filter((other) => !done.has(other.id));
  if (open.length === 0) return 0;
  const mine = await read(id);
  const now = open.slice(0, atOnce(mine));
  for (const other of now) {
    const [a, b] = id < other.id ? [id, other.id] : [other.id, id];
    // One at a time: only two evaluations' values are in memory at once.
    const found = compareTwo(mine, await read(other.id));
    await putComparisons(
      db,
      found.map((comparison) => ({ a, b, ...comparison })),
    );
  }
  return open.length - now.length;
}

/** Compares an evaluation with the newest of every other model on its board, so that any board drawn later only reads.
 * Pairs already compared are left alone: doing it again is cheap and changes nothing. Returns how many others are left
 * for the next call; until then the board shows null for them. */
export async function compareWithBoard(
  db: Database,
  row: { id: string; project: string; board: string; model: string },
  atOnce = rivalsAtOnce,
): Promise<number> {
  return compareRest(db, row.id, await rivals(db, row, BOARD_MODELS), {
    read: (evaluation) => gradesOf(db, evaluation),
    atOnce: (grades) => atOnce(grades.length),
    compare: (mine, theirs) =>
      MetricName.options.map((metric) =>
        comparisonOf(metric, itemValues(mine, metric), itemValues(theirs, metric), mine.length),
      ),
  });
}
