// A response against its references, by every metric.
import type { MetricValues } from "../wire/evaluations.ts";
import { GRADERS, ofEachMetric } from "./graders.ts";
import type { CompiledPattern } from "./regex-match.ts";
import { tokenize, tokenizeAll } from "./rouge-tokens.ts";

/** Every metric's value of one response, 0 to 100; null where the metric skips it. */
export function grade(response: string, references: readonly string[], pattern: CompiledPattern | null): MetricValues {
  const referenceTokens = tokenizeAll(references);
  const answer = { response, references, tokens: tokenize(response), referenceTokens, pattern };
  return ofEachMetric((metric) => GRADERS[metric].value(answer));
}
