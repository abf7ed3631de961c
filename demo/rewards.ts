// Implicit rewards and preferences, with what they mean.
import type { Understudy } from "../src/sdk/index.ts";
import { RECIPE } from "./recipe.ts";
import { note, say } from "./terminal.ts";

export interface Pair {
  teacher: string;
  student: string;
}

const PROMPT = "Anna left the keys on the shelf, the map in the car and the lamp in the garden. Where is the map?";
const RESPONSES = ["in the car", "on the shelf", "The map is a drawing of the land."];

const signed = (value: number, digits: number): string => `${value < 0 ? "" : "+"}${value.toFixed(digits)}`;

export async function scoreResponses(client: Understudy, pair: Pair): Promise<void> {
  const { beta } = RECIPE.distill.objective;
  const scores = await client.scores({ ...pair, prompt: PROMPT, responses: RESPONSES, beta });
  say(`    prompt: ${PROMPT}`);
  const width = Math.max(...RESPONSES.map((response) => response.length));
  say(`    ${"response".padEnd(width)}  log p teacher  log q student  implicit reward  preference`);
  for (const score of scores.data) {
    const cells = [
      (RESPONSES[score.index] ?? "").padEnd(width),
      score.teacher_logprob.toFixed(2).padStart(13),
      score.student_logprob.toFixed(2).padStart(13),
      signed(score.implicit_reward, 3).padStart(15),
      score.preference.toFixed(2).padStart(10),
    ];
    say(`    ${cells.join("  ")}`);
  }
  note(
    `The implicit reward is ${beta} x (log q - log p): what training has added to the student beyond its teacher. It is not a grade: ` +
      "where both models agree it is 0, for a right answer too. Whether an answer is likely is in the log-probabilities, " +
      "nearer to 0 is likelier. The preference is the softmax of the rewards over these three.",
  );
}

export async function compareOutputs(client: Understudy, pair: Pair): Promise<void> {
  const { beta } = RECIPE.distill.objective;
  const list = await client.preferences({ ...pair, beta, prompts: [PROMPT], generation: RECIPE.generation });
  for (const preference of list.data) {
    say(`    teacher: ${JSON.stringify(preference.chosen)}`);
    say(`    student: ${JSON.stringify(preference.rejected)}`);
    say(
      `    margin ${signed(preference.margin, 4)}, preference for the teacher's output ${preference.probability.toFixed(3)}`,
    );
  }
  note(
    "A preference below 0.5 is no fault here: each model finds its own output likelier than the other does, so the student that " +
      "is not yet its teacher prefers its own. A perfect student gives exactly 0.5, margin 0, as do two equal outputs.",
  );
}
