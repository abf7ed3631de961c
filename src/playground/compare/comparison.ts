// A response read by both: the student here, the teacher at the service. The reward is made of the two here.
import { Failure } from "../../dashboard/api.ts";
import { implicitReward, tokenRewards } from "../../scoring/reward.ts";
import type { ScoreList } from "../answers.ts";
import type { Runner } from "../runner/client.ts";
import type { Token } from "../runner/messages.ts";
import { askTeacher } from "./scores.ts";
import type { Question } from "./scores.ts";

export interface ComparedToken {
  id: number;
  text: string;
  student: number;
  teacher: number;
}

export interface Comparison {
  question: Question;
  tokens: ComparedToken[];
  /** Where the teacher's side came from, and the service's own beta. */
  by: Omit<ScoreList, "data">;
}

/** Of as many tokens as the service scored: it cuts at the shorter context of the two models. */
function together(own: readonly Token[], theirs: ScoreList["data"][number]["tokens"]): ComparedToken[] {
  return theirs.map(({ id, teacher_logprob: teacher }, i) => {
    const token = own[i];
    if (token?.id === id) return { id, text: token.text, student: token.logprob, teacher };
    throw new Failure(
      "The two cannot be compared",
      `The service reads this response in other tokens than this browser does, from token ${i + 1} on. Reload the page; ` +
        "if it stays like that, this export and its checkpoint differ in their tokenizers.",
    );
  });
}

export async function compare(
  runner: Runner,
  question: Question,
  wait: (why: string | null) => void,
  signal: AbortSignal,
): Promise<Comparison> {
  const { tokens: own } = await runner.score(question);
  const { data, ...by } = await askTeacher(question, wait, signal);
  return { question, tokens: together(own, data[0]?.tokens ?? []), by };
}

export interface Rewards {
  tokens: number[];
  /** Of the whole response. */
  sum: number;
}

export function rewardsOf(tokens: readonly ComparedToken[], beta: number): Rewards {
  const scored = {
    token_ids: tokens.map(({ id }) => id),
    token_texts: tokens.map(({ text }) => text),
    student_logprobs: tokens.map(({ student }) => student),
    teacher_logprobs: tokens.map(({ teacher }) => teacher),
  };
  const options = { beta, lengthNormalize: false };
  return { tokens: tokenRewards(scored, options), sum: implicitReward(scored, options) };
}
