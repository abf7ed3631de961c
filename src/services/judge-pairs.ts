// What the implicit reward says of the pairs of a preference evaluation: records, values of items, figures.
import { itemMeans } from "../evaluation/items.ts";
import type { ItemValues } from "../evaluation/items.ts";
import { intervalOf } from "../evaluation/summary.ts";
import { correctness, preferenceProbability } from "../scoring/preference.ts";
import { rewardOf } from "../scoring/reward.ts";
import type { Margin, PreferenceRecordRow } from "../store/preference-records.ts";
import type { Row } from "../wire/datasets.ts";
import type { PairSide, ScoredPair } from "../wire/pairs.ts";
import type {
  JudgedResponse,
  PreferenceEvaluation,
  PreferenceKind,
  PreferenceMetrics,
} from "../wire/preference-evaluations.ts";

/** `given`: the row's own response, which the worker does not repeat. */
function judged(side: PairSide, given: string, evaluation: PreferenceEvaluation): JudgedResponse {
  const { num_tokens, teacher_logprob, student_logprob, finish_reason } = side;
  const summed = { student: student_logprob, teacher: teacher_logprob, tokens: num_tokens };
  const options = { beta: evaluation.beta, lengthNormalize: evaluation.length_normalize };
  return {
    response: side.response ?? given,
    finish_reason,
    num_tokens,
    teacher_logprob,
    student_logprob,
    implicit_reward: rewardOf(summed, options),
  };
}

/** The record of a pair; `position` is its place in the evaluation. */
export function judgePair(
  evaluation: PreferenceEvaluation,
  row: Row,
  pair: ScoredPair,
  position: number,
): PreferenceRecordRow {
  const chosen = judged(pair.chosen, row.response, evaluation);
  const rejected = judged(pair.rejected, row.rejected ?? "", evaluation);
  const { item, seed } = pair;
  const margin = chosen.implicit_reward - rejected.implicit_reward;
  return { evaluation: evaluation.id, item, seed, position, prompt: row.prompt, chosen, rejected, margin };
}

const isTie = ({ margin }: Margin): boolean => margin === 0;

/** x100, by item: under accuracy whether chosen is preferred, under closeness how probably the student's output, which is
 * rejected. Without a tie accuracy is right or wrong, which Wilson's interval and McNemar's test are for. */
export function pairValues(kind: PreferenceKind, margins: readonly Margin[]): ItemValues {
  const valueOf = (margin: number): number =>
    kind === "accuracy" ? correctness(margin) : preferenceProbability(-margin);
  return itemMeans(
    margins.map(({ item, margin }) => ({ item, value: 100 * valueOf(margin) })),
    kind === "accuracy" && !margins.some(isTie),
  );
}

/** The figure of its kind with its 95% interval. */
export function summarizePairs(
  kind: PreferenceKind,
  margins: readonly Margin[],
  options: { resamples: number },
): PreferenceMetrics {
  const figure = intervalOf(pairValues(kind, margins), options.resamples);
  return kind === "accuracy"
    ? { accuracy: figure, student_preferred: null }
    : { accuracy: null, student_preferred: figure };
}
