// Plackett-Luce: the probability of an order of responses, from their rewards.
import { logSumExp } from "./logistic.ts";

/**
 * Probability of the first place, `softmax(r)`.
 *
 * Source: Plackett 1975; Luce 1959; arXiv 2406.19774 (the ranking form).
 */
export function firstPlace(rewards: readonly number[]): number[] {
  const total = logSumExp(rewards);
  return rewards.map((reward) => Math.exp(reward - total));
}

/**
 * Log-likelihood of a whole order, nats: `sum_k (r_k - log sum_{j >= k} exp r_j)`, the product of each place's softmax
 * over what is left.
 *
 * @param ordered rewards, the first place first
 */
export const orderLogLikelihood = (ordered: readonly number[]): number =>
  ordered.reduce((sum, reward, k) => sum + reward - logSumExp(ordered.slice(k)), 0);

/** Rank of each response, 1 for the largest reward; equal rewards share the better rank. */
export const ranks = (rewards: readonly number[]): number[] =>
  rewards.map((reward) => 1 + rewards.filter((other) => other > reward).length);
