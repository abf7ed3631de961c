// node finish.ts TREE STATE TINY: finishes everything that a crash interrupted, by the stack of a work tree. Prints what came of
// it as JSON on the last line.
import { setTimeout as sleep } from "node:timers/promises";
import { readOutcome } from "../outcome.ts";
import type { Outcome } from "../outcome.ts";
import { loadRelease } from "./release.ts";

/** Between two looks, ms; and how long everything may take. */
const LOOK_MS = 1000;
const PATIENCE_MS = 240_000;
/** D1 has been told everything this long after nothing changes any more, ms. */
const DRAIN_MS = 3000;

const [tree = "", state = "", tiny = ""] = process.argv.slice(2);

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

const release = await loadRelease(tree);
const stack = await release.startStack({ folder: state, port: 0, workers: 0, models: { tiny } });
const worker = release.startWorker({ ...stack.worker("worker-2"), threads: 1 });
try {
  const service = { url: stack.url, key: stack.keys.admin };
  const until = Date.now() + PATIENCE_MS;
  let outcome = await readOutcome(service);
  while (!isFinished(outcome)) {
    check(outcome);
    if (Date.now() > until) throw new Error(`unfinished: ${JSON.stringify(outcome, null, 1).slice(0, 10_000)}`);
    await sleep(LOOK_MS);
    outcome = await readOutcome(service);
  }
  await sleep(DRAIN_MS);
  console.log(JSON.stringify(await readOutcome(service)));
} finally {
  await release.stopWorker(worker);
  await stack.stop();
}
process.exit(0);
