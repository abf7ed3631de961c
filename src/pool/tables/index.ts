// All tables of one pool.
import { Candidates } from "./candidates.ts";
import { Due, Counters } from "./due.ts";
import { Batches, Evaluations } from "./evaluations.ts";
import { Active, Bodies, Deltas, Jobs } from "./jobs.ts";
import { Fences, Leases } from "./leases.ts";
import { Garbage, Outbox, Pointers, Readers, Usage } from "./outbox.ts";
import { Events, Runs, Shutouts, States, Steps } from "./runs.ts";
import { Samples } from "./samples.ts";
import { Meter } from "./meter.ts";
import { migrate } from "./versions.ts";
import { Stale } from "./stale.ts";
import { Refusals, Workers } from "./workers.ts";

/** How far a lease is, as its worker said last: in memory, since it is said again every few seconds. */
export interface Progress {
  phase: string;
  done: number;
  total: number;
}

export type Tables = ReturnType<typeof openTables>;

export function openTables(storage: DurableObjectStorage) {
  migrate(storage);
  const meter = new Meter();
  const door = { sql: storage.sql, meter };
  const stale = new Stale();
  const tables = {
    meter,
    stale,
    progress: new Map<string, Progress>(),
    active: new Active(door),
    jobs: new Jobs(door, stale),
    bodies: new Bodies(door),
    deltas: new Deltas(door),
    leases: new Leases(door, stale),
    fences: new Fences(door, stale),
    runs: new Runs(door, stale),
    steps: new Steps(door),
    states: new States(door),
    samples: new Samples(door),
    candidates: new Candidates(door),
    events: new Events(door),
    shutouts: new Shutouts(door, stale),
    evaluations: new Evaluations(door),
    batches: new Batches(door),
    workers: new Workers(door, stale),
    refusals: new Refusals(door),
    outbox: new Outbox(door),
    usage: new Usage(door),
    pointers: new Pointers(door),
    readers: new Readers(door),
    garbage: new Garbage(door),
    due: new Due(door),
    counters: new Counters(door),
  };
  /** What is kept in memory of rows is read again: a rollback has undone some of them. */
  const forget = (): void => {
    tables.leases.forget();
    tables.counters.forget();
  };
  return { ...tables, forget };
}
