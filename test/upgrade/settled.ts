// Waits until a stack has finished everything that a crash interrupted.
import { setTimeout as sleep } from "node:timers/promises";
import { readOutcome } from "./outcome.ts";
import type { Outcome, Service } from "./outcome.ts";

/** Between two looks, ms; and how long everything may take. */
const LOOK_MS = 1000;
const PATIENCE_MS = 240_000;
/** D1 has been told everything this long after nothing changes any more, ms. */
const DRAIN_MS = 3000;

/** A job that waits for a model which no worker has stays queued. */
function isFinished({ runs, evaluations, preference_evaluations, jobs, models }: Outcome): boolean {
  const evaluated = [...evaluations, ...preference_evaluations];
  const elsewhere = models.find(({ name }) => name === "elsewhere")?.id;
  return (
    runs.every(({ status }) => status === "completed") &&
    evaluated.every(({ status, metrics }) => status === "completed" && metrics !== null) &&
    jobs.every(({ status, subject }) => status === "completed" || subject === elsewhere)
  );
}

function check({ runs, evaluations, preference_evaluations, jobs }: Outcome): void {
  const failed = [...runs, ...evaluations, ...preference_evaluations, ...jobs].filter(({ error }) => error !== null);
  if (failed.length > 0) throw new Error(`failed: ${JSON.stringify(failed)}`);
}

/** What a fixture's project has come to, once nothing is left to do. Throws where anything failed, or takes too long. */
export async function settled(service: Service): Promise<Outcome> {
  const until = Date.now() + PATIENCE_MS;
  let outcome = await readOutcome(service);
  while (!isFinished(outcome)) {
    check(outcome);
    if (Date.now() > until) throw new Error(`unfinished: ${JSON.stringify(outcome, null, 1).slice(0, 10_000)}`);
    await sleep(LOOK_MS);
    outcome = await readOutcome(service);
  }
  await sleep(DRAIN_MS);
  return readOutcome(service);
}
