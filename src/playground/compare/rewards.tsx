// Each token of a response in the colour of its implicit reward, the response's own, and where the numbers came from.
import { useState } from "preact/hooks";
import { count, signed } from "../../dashboard/format.ts";
import { nats, reward } from "../format.ts";
import { Tokens } from "../tokens.tsx";
import { visible } from "../visible.ts";
import { rewardsOf } from "./comparison.ts";
import type { Comparison, ComparedToken, Rewards } from "./comparison.ts";
import { Legend } from "./legend.tsx";
import { stepOf } from "./scale.ts";

const described = ({ student, teacher }: ComparedToken, share: number): string =>
  `reward ${reward(share)}, student ${nats(student)}, teacher ${nats(teacher)}`;

const shown = (token: ComparedToken, share: number) => ({
  id: token.id,
  text: token.text,
  figure: reward(share),
  described: described(token, share),
  shade: stepOf(token),
});

/** Of what an export is known to differ by. */
const DIGITS = 4;

const Table = ({ tokens, rewards }: { tokens: readonly ComparedToken[]; rewards: Rewards }) => (
  <details>
    <summary>The same as a table</summary>
    <div class="scroll" tabIndex={0} role="region" aria-label="Tokens and their rewards">
      <table class="shares">
        <caption>Log-probabilities in nats; the reward is beta times student less teacher</caption>
        <thead>
          <tr>
            <th scope="col">Token</th>
            <th scope="col">Id</th>
            <th scope="col">Student</th>
            <th scope="col">Teacher</th>
            <th scope="col">Reward</th>
          </tr>
        </thead>
        <tbody>
          {tokens.map((token, i) => (
            <tr key={i}>
              <th scope="row">
                <code>{visible(token.text)}</code>
              </th>
              <td>{token.id}</td>
              <td>{signed(token.student, DIGITS)}</td>
              <td>{signed(token.teacher, DIGITS)}</td>
              <td>{signed(rewards.tokens[i] ?? 0, DIGITS)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  </details>
);

function Beta({ beta, choose }: { beta: number; choose: (beta: number) => void }) {
  return (
    <label class="field">
      <span>beta</span>
      <input
        type="number"
        min="0.01"
        max="100"
        step="any"
        value={beta}
        onInput={({ currentTarget: { valueAsNumber: value } }) => {
          if (value > 0 && value <= 100) choose(value);
        }}
      />
    </label>
  );
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function Source({ comparison: { by, question } }: { comparison: Comparison }) {
  const kept = by.teacher_cache.hits > 0 ? "known from before" : "computed for this";
  const where = by.computed_by === "edge" ? "without a GPU worker" : "by a worker";
  return (
    <p class="note">
      The student's log-probabilities were computed in this browser; those of the teacher ({question.teacher}) were
      answered {where} (<code>computed_by: {by.computed_by}</code>), {kept}.
      {by.note !== null && <> The service notes: {by.note}</>}
    </p>
  );
}

export function RewardView({ comparison }: { comparison: Comparison }) {
  const { tokens, by } = comparison;
  const [beta, setBeta] = useState(by.beta);
  const rewards = rewardsOf(tokens, beta);
  const student = sum(tokens.map((token) => token.student));
  const teacher = sum(tokens.map((token) => token.teacher));
  return (
    <div class="rewards">
      <div class="controls">
        <p class="total">
          <span>Implicit reward of the response</span>
          <strong>{reward(rewards.sum)}</strong>
          <span class="quiet">
            = {beta} × ({nats(student)} − {nats(teacher)}), over {count(tokens.length, "token")}
          </span>
        </p>
        <Beta beta={beta} choose={setBeta} />
      </div>
      <Legend beta={beta} />
      <Tokens
        label="Response, coloured by implicit reward"
        tokens={tokens.map((token, i) => shown(token, rewards.tokens[i] ?? 0))}
      />
      <Table tokens={tokens} rewards={rewards} />
      <Source comparison={comparison} />
    </div>
  );
}
