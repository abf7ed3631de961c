// Steps of a run, followed live through its event stream.
import type { Understudy } from "../src/sdk/index.ts";
import type { CreateRun } from "../src/sdk/runs.ts";
import type { Run, Step } from "../src/wire/runs.ts";
import { LiveLine, bar, duration } from "./terminal.ts";

/** Steps over which the time left is estimated. */
const WINDOW = 10;

/** Unknown is a dash, never 0. */
export const number = (value: number | null, digits: number): string => (value === null ? "-" : value.toFixed(digits));

/** One line of progress; what the objective does not have is left out. */
function line(step: Step, total: number, left: number | null): string {
  const { metrics } = step;
  // In this order: a narrow terminal cuts the end off.
  const parts = [`${bar(step.step, total, 16)} step ${step.step}/${total}`];
  if (left !== null) parts.push(`${duration(left)} left`);
  parts.push(`loss ${number(metrics.loss, 3)}`);
  if (metrics["loss/lm"] !== null) parts.push(`LM loss ${number(metrics["loss/lm"], 3)}`);
  if (metrics["margin/token_mean"] !== null) parts.push(`margin ${number(metrics["margin/token_mean"], 2)}`);
  if (metrics.argmax_agreement !== null) parts.push(`agreement ${number(100 * metrics.argmax_agreement, 0)}%`);
  parts.push(`${metrics.tokens_per_second.toFixed(0)} tokens/s`);
  return parts.join("  ");
}

/** From the times at which the last steps ended, ms; unknown before the second. */
function timeLeft(times: number[], steps: number): number | null {
  const recent = times.slice(-WINDOW - 1);
  const [from, to] = [recent[0], recent.at(-1)];
  if (from === undefined || to === undefined || recent.length < 2) return null;
  return ((to - from) / (recent.length - 1)) * steps;
}

/** Takes all of the run's steps and shows them; the run as it ended. */
export async function train(client: Understudy, body: CreateRun): Promise<{ run: Run; first: Step; last: Step }> {
  const { id, optimizer } = await client.runs.create(body);
  const total = optimizer.total_steps;
  const work = await client.runs.takeSteps(id, { to: total });
  const shown = new LiveLine();
  shown.show("waiting for a worker to load the models");
  const steps: Step[] = [];
  const times: number[] = [];
  for await (const event of client.runs.events(id)) {
    if (event.type !== "step") continue;
    steps.push(event.data);
    times.push(Date.now());
    shown.show(line(event.data, total, timeLeft(times, total - event.data.step)));
    if (event.data.step === total) break;
  }
  shown.show("storing the checkpoint");
  // The job ends after the last step: with the checkpoint uploaded, or with the reason why it failed.
  const run = await work.finished();
  const [first, last] = [steps[0], steps.at(-1)];
  if (first === undefined || last === undefined) throw new Error(`run ${id} ended without a step`);
  shown.end(line(last, total, null));
  return { run, first, last };
}

/** The checkpoint of the run's last step: a model id everywhere. */
export async function finalCheckpoint(client: Understudy, run: Run): Promise<string> {
  for await (const checkpoint of client.runs.checkpoints(run.id))
    if (checkpoint.step === run.head) return checkpoint.id;
  return (await client.runs.createCheckpoint(run.id)).id;
}
