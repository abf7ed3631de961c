// What is computed once, when an evaluation settles: its figures, and its tests against the others of its board.
import { BOARD_MODELS, COMPARED_VALUES, MIN_OVERLAP, MIN_RESAMPLES, RESAMPLED_VALUES, RESAMPLES } from "../config.ts";
import { compare } from "../evaluation/compare.ts";
import { GRADERS } from "../evaluation/graders.ts";
import { itemValues } from "../evaluation/items.ts";
import type { GradedRecord } from "../evaluation/items.ts";
import type { Database } from "../store/database.ts";
import { comparedWith, putComparisons, rivals } from "../store/evaluations.ts";
import { gradesOf } from "../store/records.ts";
import { MetricName } from "../wire/evaluations.ts";

/** Resamples over `n` values: all of them, or as many as keep a test short. */
export const resamplesFor = (n: number): number =>
  Math.max(MIN_RESAMPLES, Math.min(RESAMPLES, Math.floor(RESAMPLED_VALUES / Math.max(n, 1))));

function comparisonRows(mine: string, myGrades: GradedRecord[], other: string, grades: GradedRecord[]) {
  const options = { minOverlap: MIN_OVERLAP, flips: resamplesFor(myGrades.length) };
  const [a, b] = mine < other ? [mine, other] : [other, mine];
  // Tests are two-sided, so which of the two comes first changes nothing.
  return MetricName.options.map((metric) => ({
    a,
    b,
    metric,
    ...compare(itemValues(myGrades, metric), itemValues(grades, metric), options),
  }));
}

/** Metrics whose test draws signs; with several seeds the others' do too, at fewer items a response. */
const FLIPPED = MetricName.options.filter((metric) => !GRADERS[metric].binary).length;

/** Others that an evaluation of `n` responses is compared with in one call. */
export const rivalsAtOnce = (n: number): number =>
  Math.max(1, Math.floor(COMPARED_VALUES / (FLIPPED * Math.max(n, 1) * resamplesFor(n))));

/** Compares an evaluation with the newest of every other model on its board, so that any board drawn later only reads.
 * Pairs already compared are left alone: doing it again is cheap and changes nothing. Returns how many others are left
 * for the next call; until then the board shows null for them. */
export async function compareWithBoard(
  db: Database,
  row: { id: string; project: string; board: string; model: string },
  atOnce = rivalsAtOnce,
): Promise<number> {
  const [others, done] = await Promise.all([rivals(db, row, BOARD_MODELS), comparedWith(db, row.id)]);
  const open = others.filter((other) => !done.has(other.id));
  if (open.length === 0) return 0;
  const mine = await gradesOf(db, row.id);
  const now = open.slice(0, atOnce(mine.length));
  // One at a time: only two evaluations' grades are in memory at once.
  for (const other of now)
    await putComparisons(db, comparisonRows(row.id, mine, other.id, await gradesOf(db, other.id)));
  return open.length - now.length;
}
