// Preferences between responses of one prompt, from their rewards.
import { logSigmoid, sigmoid } from "./logistic.ts";

/**
 * Bradley-Terry: `P(a > b | x) = sigmoid(r(x,a) - r(x,b))`.
 *
 * Source: Bradley and Terry 1952; arXiv 2406.19774.
 */
export const preferenceProbability = (margin: number): number => sigmoid(margin);

/**
 * `-log sigmoid(margin)`, nats: the loss of the pair whose chosen response has `margin` more reward.
 *
 * Source: arXiv 2406.19774, second stage, sequence level; Rafailov et al. 2023 (DPO), equation 7.
 */
// `0 - x` and not `-x`: of a sure pair the loss is 0, never -0.
export const preferenceLoss = (margin: number): number => 0 - logSigmoid(margin);

/** 1 where the chosen response has the larger reward, 0.5 for a tie, else 0. */
export const correctness = (margin: number): number => (margin > 0 ? 1 : margin === 0 ? 0.5 : 0);

/** Share of pairs whose chosen response has the larger reward; a tie counts 0.5. At least one margin. */
export function accuracy(margins: readonly number[]): number {
  const wins = margins.reduce((sum, margin) => sum + correctness(margin), 0);
  return wins / margins.length;
}

/** `[i][j] = P(i > j)`; the diagonal is 0.5. */
export const pairwise = (rewards: readonly number[]): number[][] =>
  rewards.map((a) => rewards.map((b) => preferenceProbability(a - b)));
