// One broken job must not stop the pool: what goes wrong with it is undone, logged, and fails that job alone.
import { describe } from "./drain.ts";
import { failUnleasable } from "./endings.ts";
import type { Turn } from "./turn.ts";

/** Whether `work` on the job went well; where it threw, its changes are undone and the job has failed. */
export function isolate(turn: Turn, id: string, work: () => void): boolean {
  const outcome = turn.attempt(work);
  if ("value" in outcome) return true;
  console.error(JSON.stringify({ event: "pool_job_failed", job: id, error: describe(outcome.error) }));
  const job = turn.tables.jobs.get(id);
  if (job !== null) failUnleasable(turn, job);
  return false;
}
