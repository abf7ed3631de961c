// Bradley-Terry: strengths of players from how often, or how probably, each was preferred to each.
import { logSigmoid, sigmoid } from "./logistic.ts";

/** `[i][j]`: comparisons that i won against j; a comparison that is known by its probability counts that share for each. */
export type Wins = readonly (readonly number[])[];

/** Newton's method is quadratic near the maximum; on the way there a strength of 36, double precision's odds, takes 40 steps. */
const MAX_STEPS = 200;
const TOLERANCE = 1e-12;

/**
 * Log-odds strengths at maximum likelihood, the reference's fixed at 0: `P(i > j) = sigmoid(s_i - s_j)`, and the
 * likelihood is the sum over ordered pairs of `w_ij log sigmoid(s_i - s_j)`.
 *
 * The maximum is finite among players each of whom has, through others, both beaten and lost to each. Null: a player
 * outside the reference's set of these, as one that has won or lost all; its comparisons do not bear on those inside.
 *
 * Source: R. A. Bradley and M. E. Terry, "Rank analysis of incomplete block designs", Biometrika 39, 1952; when the
 * maximum exists: L. R. Ford, 1957, and D. R. Hunter, "MM algorithms for generalized Bradley-Terry models", 2004.
 */
export function bradleyTerry(wins: Wins, reference = 0): (number | null)[] {
  const players = comparable(wins, reference);
  const strengths = maximise(players.map((i) => players.map((j) => (i === j ? 0 : won(wins, i, j)))));
  const found = new Map(players.map((player, i) => [player, strengths[i] ?? 0]));
  return wins.map((_, player) => found.get(player) ?? null);
}

const won = (wins: Wins, i: number, j: number): number => wins[i]?.[j] ?? 0;

/** A share too small to be told from none by what is left of 1 is none, so that both sides are bounded alike. */
const beat = (wins: Wins, i: number, j: number): boolean =>
  won(wins, i, j) > Number.EPSILON * (won(wins, i, j) + won(wins, j, i));

/** The reference, then every player that has both beaten and lost to it, through others or itself. */
function comparable(wins: Wins, reference: number): number[] {
  const below = reachable(wins.length, reference, (i, j) => beat(wins, i, j));
  const above = reachable(wins.length, reference, (i, j) => beat(wins, j, i));
  return [...below].filter((player) => above.has(player));
}

function reachable(players: number, from: number, edge: (i: number, j: number) => boolean): Set<number> {
  const found = new Set([from]);
  // A set is walked in the order of insertion, with what is added on the way.
  for (const i of found) for (let j = 0; j < players; j++) if (edge(i, j)) found.add(j);
  return found;
}

/** Newton's steps, each halved until it does not lose; the first player's strength stays 0. */
function maximise(wins: Wins): number[] {
  let strengths = wins.map(() => 0);
  for (let step = 0; step < MAX_STEPS; step++) {
    const direction = [0, ...solve(...derivatives(wins, strengths))];
    const before = logLikelihood(wins, strengths);
    // Near the maximum the likelihood is flat to rounding, where the step itself is still good.
    const floor = before - TOLERANCE * Math.abs(before);
    const at = strengths;
    const moved = (size: number): number[] => at.map((value, i) => value + size * (direction[i] ?? 0));
    let size = 1;
    while (size > TOLERANCE && logLikelihood(wins, moved(size)) < floor) size /= 2;
    strengths = moved(size);
    if (Math.max(...direction.map((change) => Math.abs(size * change))) < TOLERANCE) break;
  }
  return strengths;
}

function logLikelihood(wins: Wins, strengths: readonly number[]): number {
  let sum = 0;
  wins.forEach((row, i) => {
    row.forEach((count, j) => {
      if (count > 0) sum += count * logSigmoid((strengths[i] ?? 0) - (strengths[j] ?? 0));
    });
  });
  return sum;
}

/** Without the first player, whose strength is fixed: the negative Hessian, which is positive definite, and the gradient. */
function derivatives(wins: Wins, strengths: readonly number[]): [hessian: number[][], gradient: number[]] {
  const gradient = wins.map(() => 0);
  const hessian = wins.map(() => wins.map(() => 0));
  wins.forEach((_, i) => {
    const row = hessian[i] ?? [];
    wins.forEach((_, j) => {
      const margin = (strengths[i] ?? 0) - (strengths[j] ?? 0);
      const [wonHere, lost] = [won(wins, i, j), won(wins, j, i)];
      const weight = (wonHere + lost) * sigmoid(margin) * sigmoid(-margin);
      gradient[i] = (gradient[i] ?? 0) + wonHere * sigmoid(-margin) - lost * sigmoid(margin);
      row[i] = (row[i] ?? 0) + weight;
      row[j] = (row[j] ?? 0) - weight;
    });
  });
  return [hessian.slice(1).map((row) => row.slice(1)), gradient.slice(1)];
}

/** `x` of `A x = b`, A symmetric and positive definite: Gaussian elimination needs no exchange of rows. */
function solve(matrix: number[][], right: number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i] ?? 0]);
  rows.forEach((pivot, i) => {
    for (const row of rows.slice(i + 1)) {
      const factor = (row[i] ?? 0) / (pivot[i] ?? 1);
      for (let j = i; j < row.length; j++) row[j] = (row[j] ?? 0) - factor * (pivot[j] ?? 0);
    }
  });
  const solution = right.map(() => 0);
  for (let i = rows.length - 1; i >= 0; i--) {
    const row = rows[i] ?? [];
    const known = solution.reduce((sum, value, j) => sum + (j > i ? value * (row[j] ?? 0) : 0), 0);
    solution[i] = ((row[rows.length] ?? 0) - known) / (row[i] ?? 1);
  }
  return solution;
}
