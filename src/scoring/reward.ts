// The implicit reward of a response: what the student, seen as an optimum against the teacher, must have been paid for it.
import type { ScoredResponse } from "../wire/payloads.ts";

export interface RewardOptions {
  /** Strength of the KL penalty. */
  beta: number;
  /** Mean instead of summed log-probabilities: a heuristic, since `log Z(x)` no longer cancels. */
  lengthNormalize: boolean;
}

/** Log-probabilities of a response of `tokens` tokens, nats. */
export interface Summed {
  student: number;
  teacher: number;
  tokens: number;
}

/** Sum over tokens, nats. */
export const logprob = (logprobs: readonly number[]): number => logprobs.reduce((sum, value) => sum + value, 0);

/**
 * `r(x,y) = beta * (log q(y|x) - log p(y|x))`, p the teacher, q the student; `beta * log Z(x)` is left out, since it
 * cancels in every preference. Length-normalised: the same with means. Of a response without tokens both are 0:
 * the sum over nothing.
 *
 * Source: arXiv 2406.19774 (DPKD), the implicit reward; Rafailov et al. 2023 (DPO), equation 5.
 */
export function rewardOf(summed: Summed, options: RewardOptions): number {
  const divisor = options.lengthNormalize ? Math.max(summed.tokens, 1) : 1;
  return (options.beta * (summed.student - summed.teacher)) / divisor;
}

/** `rewardOf` a response whose tokens are known one by one. */
export const implicitReward = (
  { student_logprobs: student, teacher_logprobs: teacher }: ScoredResponse,
  options: RewardOptions,
): number => rewardOf({ student: logprob(student), teacher: logprob(teacher), tokens: student.length }, options);

/**
 * Each token's share of the reward: they sum to `implicitReward` under the same options.
 */
export function tokenRewards(scored: ScoredResponse, options: RewardOptions): number[] {
  const divisor = options.lengthNormalize ? scored.student_logprobs.length : 1;
  return scored.student_logprobs.map((student, i) => {
    const teacher = scored.teacher_logprobs[i];
    if (teacher === undefined) throw new RangeError("teacher and student log-probabilities differ in length");
    return (options.beta * (student - teacher)) / divisor;
  });
}
