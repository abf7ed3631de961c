// The work of a lease at the edge: a span of an evaluation's batches, answered by the scorer.
import { EDGE_CALL_COMPUTE, EDGE_LEAST_TOKENS } from "../../config.ts";
import type { EdgeRefusalCode, ScorerApi } from "../../scorer/api.ts";
import type { GenerateBatch, GeneratedItem, GeneratePayload } from "../../wire/batches.ts";

export type Answered = { items: GeneratedItem[] } | { code: EdgeRefusalCode; detail: string };

/** A token covers about this many characters. */
const CHARACTERS = 4;

/** Items of one call: as many as half of its CPU allows, since their tokens are only guessed here; at least one. */
function itemsAtOnce({ artifact, generation }: GeneratePayload, { items }: GenerateBatch): number {
  const longest = Math.max(...items.map(({ prompt }) => JSON.stringify(prompt).length)) / CHARACTERS;
  const tokens = longest + EDGE_LEAST_TOKENS * generation.max_new_tokens;
  return Math.max(1, Math.floor(EDGE_CALL_COMPUTE / 2 / ((artifact?.model.parameters ?? 1) * tokens)));
}

/** The batch's answers, in its order; `onCall` is called after each call and may say that nobody wants them any more. */
export async function answerBatch(
  scorer: ScorerApi,
  payload: GeneratePayload,
  batch: GenerateBatch,
  onCall: () => Promise<boolean>,
): Promise<Answered | null> {
  const { artifact, template, generation } = payload;
  if (artifact === null) return { code: "internal", detail: "the lease names no export" };
  const size = itemsAtOnce(payload, batch);
  const items: GeneratedItem[] = [];
  for (let at = 0; at < batch.items.length; at += size) {
    const some = batch.items.slice(at, at + size);
    const answer = await scorer.generate({
      artifact,
      template,
      prompts: some.map(({ prompt }) => prompt),
      maxNewTokens: generation.max_new_tokens,
      stop: generation.stop,
    });
    if (!answer.ok) return { code: answer.code, detail: answer.message };
    some.forEach(({ item, seed }, i) => {
      const generated = answer.value[i];
      if (generated === undefined) throw new Error("the scorer's answer is shorter than what was asked");
      items.push({ item, seed, ...generated });
    });
    if (!(await onCall())) return null;
  }
  return { items };
}
