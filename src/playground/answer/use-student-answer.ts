// The student's answer to a prompt, token by token.
import { useState } from "preact/hooks";
import { failureOf } from "../../dashboard/api.ts";
import type { Failure } from "../../dashboard/api.ts";
import type { Runner } from "../runner/client.ts";
import type { AnswerOrder, Answered, Token } from "../runner/messages.ts";

export type AnswerState =
  | { name: "none" }
  | { name: "answering"; tokens: readonly Token[] }
  | { name: "answered"; tokens: readonly Token[]; answered: Answered }
  | { name: "failed"; failure: Failure };

interface StudentAnswer {
  state: AnswerState;
  ask: (order: Omit<AnswerOrder, "type">) => Promise<void>;
}

/** `done` is given the response's text. */
export function useStudentAnswer(runner: Runner, done: (response: string) => void): StudentAnswer {
  const [state, setState] = useState<AnswerState>({ name: "none" });
  const ask = async (order: Omit<AnswerOrder, "type">): Promise<void> => {
    let tokens: readonly Token[] = [];
    setState({ name: "answering", tokens });
    try {
      const answered = await runner.answer(order, (token) => {
        tokens = [...tokens, token];
        setState({ name: "answering", tokens });
      });
      setState({ name: "answered", tokens, answered });
      done(answered.response);
    } catch (error) {
      setState({ name: "failed", failure: failureOf(error) });
    }
  };
  return { state, ask };
}
