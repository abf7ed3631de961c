// Preferences between two responses: of given pairs, or a teacher's output against a student's.
import type { JobState } from "../pool/api.ts";
import { accuracy, preferenceLoss, preferenceProbability } from "../scoring/preference.ts";
import { implicitReward } from "../scoring/reward.ts";
import { Generation } from "../wire/generation.ts";
import type { Prompt } from "../wire/common.ts";
import type { ComparePayload, CompareOutput, ScoredResponse, ScoreOutput, ScorePayload } from "../wire/payloads.ts";
import type { Compute, CreatePreferences, Preference, PreferenceList } from "../wire/scores.ts";
import type { Context } from "./context.ts";
import { resourceId, twinId } from "./identity.ts";
import { maxLengthOf } from "./known-logprobs.ts";
import { LENGTH_NOTE, notes } from "./notes.ts";
import { BY_WORKER, assertFits, assertScorable, at, resolvePair } from "./score.ts";
import type { Computed, Pair } from "./score.ts";
import { scoreAtEdge } from "./score-edge.ts";
import { expectedTokens } from "./expected-tokens.ts";
import { settled, submit } from "./submit.ts";

const GENERATED_NOTE =
  "chosen is the teacher's output, rejected the student's own: each model finds its own likelier, so the margin is never " +
  "positive in expectation. It rises to 0, probability 0.5, as the student becomes the teacher; below 0.5 is no fault.";

function scorePayload({ teacher, student }: Pair, body: CreatePreferences): ScorePayload {
  const pairs = body.pairs ?? [];
  pairs.forEach((pair, i) => {
    assertFits(pair.prompt, [teacher, student], `pairs[${i}].prompt`);
    assertScorable([pair.chosen, pair.rejected], body.template, `pairs[${i}]`);
  });
  return {
    kind: "score",
    teacher: teacher.ref,
    student: student.ref,
    template: body.template,
    items: pairs.map((pair) => ({ prompt: pair.prompt, responses: [pair.chosen, pair.rejected] })),
  };
}

function comparePayload({ teacher, student }: Pair, body: CreatePreferences, prompts: Prompt[]): ComparePayload {
  prompts.forEach((prompt, i) => assertFits(prompt, [teacher, student], `prompts[${i}]`));
  return {
    kind: "compare",
    teacher: teacher.ref,
    student: student.ref,
    template: body.template,
    prompts,
    generation: body.generation ?? Generation.parse({}),
  };
}

/** The preferences, where the edge has their scores or computes them; else the job, finished or still going on after
 * `wait` seconds. */
export async function createPreferences(
  ctx: Context,
  body: CreatePreferences,
  wait: number,
): Promise<PreferenceList | JobState> {
  const pair = await resolvePair(ctx, body);
  const payload = body.prompts === undefined ? scorePayload(pair, body) : comparePayload(pair, body, body.prompts);
  const generated = payload.kind === "compare" ? 2 * payload.prompts.length * payload.generation.max_new_tokens : 0;
  const id = await resourceId(ctx, "job", "POST /v1/preferences");
  const request = { ...body, ...pair.names };
  const found = payload.kind === "score" ? await atEdge(ctx, pair, payload, body.compute) : null;
  if (found !== null) return scoredPreferences(id, request, found, found);
  const cost = 2 * expectedTokens(body.pairs ?? body.prompts) + generated;
  const models = [pair.teacher.ref, pair.student.ref];
  return settled(ctx, await submit(ctx, { id, asked: body, request, payload, models, cost }), wait);
}

const atEdge = (ctx: Context, pair: Pair, { template, items }: ScorePayload, compute: Compute) =>
  scoreAtEdge(ctx, pair, { template, items, maxLength: maxLengthOf(pair) }, compute);

interface ScoredPair {
  prompt: Prompt;
  chosen: { text: string; scored: ScoredResponse };
  rejected: { text: string; scored: ScoredResponse };
}

function preference(pair: ScoredPair, index: number, body: CreatePreferences): Preference {
  const options = { beta: body.beta, lengthNormalize: body.length_normalize };
  const chosen = implicitReward(pair.chosen.scored, options);
  const rejected = implicitReward(pair.rejected.scored, options);
  const margin = chosen - rejected;
  return {
    index,
    prompt: pair.prompt,
    chosen: pair.chosen.text,
    rejected: pair.rejected.text,
    chosen_reward: chosen,
    rejected_reward: rejected,
    margin,
    probability: preferenceProbability(margin),
    loss: preferenceLoss(margin),
  };
}

function preferenceList(
  job: string,
  body: CreatePreferences,
  pairs: readonly ScoredPair[],
  { tokens, computed_by, note }: Computed & { tokens: number },
): PreferenceList {
  const data = pairs.map((pair, index) => preference(pair, index, body));
  const generated = body.prompts === undefined ? null : GENERATED_NOTE;
  return {
    object: "preference_list",
    id: twinId("pref", job),
    teacher: body.teacher,
    student: body.student,
    beta: body.beta,
    length_normalize: body.length_normalize,
    data,
    accuracy: accuracy(data.map(({ margin }) => margin)),
    computed_by,
    usage: { tokens },
    note: notes(note, generated, body.length_normalize ? LENGTH_NOTE : null),
  };
}

/** The answer to `POST /v1/preferences` with pairs. */
export function scoredPreferences(
  job: string,
  body: CreatePreferences,
  output: Pick<ScoreOutput, "items" | "tokens">,
  computed: Computed,
): PreferenceList {
  const pairs = (body.pairs ?? []).map((pair, i): ScoredPair => {
    const item = at(output.items, i);
    return {
      prompt: pair.prompt,
      chosen: { text: pair.chosen, scored: at(item, 0) },
      rejected: { text: pair.rejected, scored: at(item, 1) },
    };
  });
  return preferenceList(job, body, pairs, { ...computed, tokens: output.tokens });
}

/** The answer to `POST /v1/preferences` with prompts alone. */
export function comparedPreferences(job: string, body: CreatePreferences, output: CompareOutput): PreferenceList {
  const pairs = (body.prompts ?? []).map((prompt, i): ScoredPair => {
    const { teacher, student } = at(output.items, i);
    return {
      prompt,
      chosen: { text: teacher.response, scored: teacher.scored },
      rejected: { text: student.response, scored: student.scored },
    };
  });
  return preferenceList(job, body, pairs, { ...BY_WORKER, tokens: output.tokens });
}
