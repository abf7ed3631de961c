// The answer's tokens, each with its log-probability, and how fast they came.
import { count } from "../../dashboard/format.ts";
import { nats } from "../format.ts";
import type { Answered, Token } from "../runner/messages.ts";
import { Tokens } from "../tokens.tsx";
import type { AnswerState } from "./use-student-answer.ts";

const REASONS: Record<Answered["reason"], string> = {
  stop: "ended by itself",
  length: "cut at the length limit",
  stopped: "stopped by you",
};

/** Of the tokens after the first, which waits for the prompt to be read. */
const rate = (tokens: number, { rest }: Answered): string | null =>
  tokens < 2 ? null : `${((tokens - 1) / rest).toFixed(1)} tokens/s`;

function summary(tokens: readonly Token[], answered: Answered): string {
  const read = `${count(answered.promptTokens, "token")} of prompt read in ${answered.first.toFixed(2)} s`;
  const facts = [count(tokens.length, "token"), REASONS[answered.reason], rate(tokens.length, answered), read];
  return facts.filter((fact) => fact !== null).join(" · ");
}

const shown = ({ id, text, logprob }: Token) => ({
  id,
  text,
  figure: nats(logprob),
  described: `log-probability ${nats(logprob)} (${(100 * Math.exp(logprob)).toFixed(1)}%)`,
  shade: null,
});

export function AnswerView({ state }: { state: AnswerState }) {
  if (state.name === "none") return null;
  if (state.name === "failed") {
    return (
      <div class="notice failed" role="alert">
        <p>
          <strong>{state.failure.title}.</strong> {state.failure.message}
        </p>
      </div>
    );
  }
  return (
    <>
      <h3>Answer</h3>
      <Tokens label="Answer, token by token" tokens={state.tokens.map(shown)} />
      <p role="status" class="quiet">
        {state.name === "answered" ? summary(state.tokens, state.answered) : "answering …"}
      </p>
    </>
  );
}
