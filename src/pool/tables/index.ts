// All tables of one pool.
import { Candidates } from "./candidates.ts";
import { Due, Counters, RoundTable } from "./due.ts";
import { Batches, Evaluations } from "./evaluations.ts";
import { Bodies, Deltas, Fences, Jobs, Leases } from "./jobs.ts";
import { Garbage, Outbox, Pointers, Usage } from "./outbox.ts";
import { Events, Runs, Shutouts, States, Steps } from "./runs.ts";
import { Samples } from "./samples.ts";
import { migrate } from "./versions.ts";
import { Refusals, Workers } from "./workers.ts";

export type Tables = ReturnType<typeof openTables>;

export function openTables(storage: DurableObjectStorage) {
  migrate(storage);
  const { sql } = storage;
  return {
    jobs: new Jobs(sql),
    bodies: new Bodies(sql),
    deltas: new Deltas(sql),
    leases: new Leases(sql),
    fences: new Fences(sql),
    runs: new Runs(sql),
    steps: new Steps(sql),
    states: new States(sql),
    samples: new Samples(sql),
    candidates: new Candidates(sql),
    events: new Events(sql),
    shutouts: new Shutouts(sql),
    evaluations: new Evaluations(sql),
    batches: new Batches(sql),
    workers: new Workers(sql),
    refusals: new Refusals(sql),
    outbox: new Outbox(sql),
    usage: new Usage(sql),
    pointers: new Pointers(sql),
    garbage: new Garbage(sql),
    due: new Due(sql),
    round: new RoundTable(sql),
    counters: new Counters(sql),
  };
}
