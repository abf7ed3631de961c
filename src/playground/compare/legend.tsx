// What the colours say.
import { brief } from "../format.ts";
import { BOUNDS, STEPS } from "./scale.ts";

/** Where a step of the scale begins, seen from 0. */
function label(step: number, beta: number): string {
  const bound = BOUNDS[Math.abs(step) - 1];
  if (bound === undefined) return "0";
  return brief(Math.sign(step) * bound * beta);
}

export const Legend = ({ beta }: { beta: number }) => (
  <div class="legend">
    <p>
      <span>← the teacher finds it likelier</span>
      <span>the student finds it likelier →</span>
    </p>
    <ol aria-label="Colours, by the reward where each begins">
      {STEPS.map((step) => (
        <li key={step} class={`shade shade${step}`}>
          {label(step, beta)}
        </li>
      ))}
    </ol>
  </div>
);
