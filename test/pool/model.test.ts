// Random interleavings of three workers' frames, deaths and reconnects keep I1, I2 and I3; and I8 once faults stop.
import { runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LEASE_MS, MAX_SETBACK_WAIT_MS } from "../../src/config.ts";
import type { WorkFrame } from "../../src/pool/frames/index.ts";
import type { AckStatus } from "../../src/wire/pool.ts";
import { freshPool } from "./harness.ts";
import { blockOf, Simulation, TOTAL } from "./simulation.ts";
import type { SimWorker } from "./simulation.ts";

type Act = [kind: string, worker: number, amount: number];

const worker = fc.nat({ max: 2 });
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constantFrom("connect", "vanish", "forget", "resume", "progress", "skip"), worker, fc.nat()),
  },
  { weight: 10, arbitrary: fc.tuple(fc.constant("work"), worker, fc.nat()) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("repeat"), worker, fc.nat()) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("wait"), worker, fc.integer({ min: 1, max: 40_000 })) },
);

function perform(sim: Simulation, [kind, index, amount]: Act): void {
  const subject = sim.workers[index]!;
  if (kind === "connect") sim.connect(subject);
  else if (kind === "vanish" || kind === "forget") sim.disconnect(subject, kind === "forget");
  else if (kind === "work") sim.work(subject);
  else if (kind === "resume") sim.resume(subject);
  else if (kind === "progress") sim.progress(subject);
  else if (kind === "skip") sim.skip(subject, 1 + (amount % 3));
  else if (kind === "wait") sim.now += amount;
  else repeat(sim, subject, amount);
}

/** Says something again that it said before, however long ago: a duplicate, or stale. Stale changes nothing. */
function repeat(sim: Simulation, subject: SimWorker, amount: number): void {
  const frame = subject.said[amount % Math.max(1, subject.said.length)];
  if (frame === undefined || subject.socket === null) return;
  // Any word ends a silence, and the scheduler may then give it work: that is not the frame's doing.
  sim.say(subject, { type: "progress", seq: 1, jobs: [] });
  const before = snapshot(sim);
  const status = sim.say(subject, frame);
  if (status === "stale_fence" || status === "duplicate" || status === "gap") expect(snapshot(sim)).toEqual(before);
}

/** The contract, said a second time: what must be answered to a frame of an honest worker. */
function oracleOf(sim: Simulation) {
  return (subject: SimWorker, frame: WorkFrame): AckStatus | null => {
    if (frame.type === "progress") return null;
    const { leases, fences, runs } = sim.tables;
    const live = leases.all("job = ? AND boot = ? AND fence = ?", frame.job, subject.boot, frame.fence)[0];
    if (frame.type === "step") {
      const { head } = runs.get(sim.run)!;
      if (live === undefined) return "stale_fence";
      if (frame.n <= head) return "duplicate";
      return frame.n === head + 1 && frame.n <= live.to ? "ok" : "gap";
    }
    if (frame.type === "samples") {
      if (live === undefined) return "stale_fence";
      return sim.tables.samples.at(sim.run, frame.samples) === null ? "ok" : "duplicate";
    }
    const { fence, holder } = fences.get(sim.run);
    if (fence !== frame.fence || holder !== subject.boot) return "stale_fence";
    if (frame.type === "result") return live === undefined ? "duplicate" : "ok";
    return null;
  };
}

/** All that a stale frame must not change. */
function snapshot(sim: Simulation): unknown {
  const { jobs, runs, steps, states, samples, pointers, leases, fences, outbox, events } = sim.tables;
  return [jobs, runs, steps, states, samples, pointers, leases, fences, outbox, events].map((table) =>
    table.all("true"),
  );
}

class Watch {
  #ended = new Map<string, string>();
  #fence = 0;
  #head = 0;

  check(sim: Simulation): void {
    const { jobs, leases, steps, runs, fences } = sim.tables;
    // I1: a terminal state is final.
    for (const job of jobs.all("status IN ('completed', 'failed', 'cancelled')")) {
      expect(this.#ended.get(job.id) ?? job.status).toBe(job.status);
      this.#ended.set(job.id, job.status);
      expect(leases.of(job.id)).toBeNull();
    }
    // I2: a gap-free chain of the honest bits, and the head is its end.
    const run = runs.get(sim.run)!;
    const chain = steps.all("run = ? AND superseded = 0 ORDER BY n", sim.run);
    expect(chain.map((row) => row.n)).toEqual(chain.map((_, index) => index + 1));
    expect(chain.map((row) => row.hash)).toEqual(chain.map((row) => sim.expected(row.n)));
    expect(chain.slice(1).every((row, index) => row.prev === chain[index]!.hash)).toBe(true);
    // No step is taken before the samples that it reads are journaled.
    for (const { n } of chain) {
      expect(sim.tables.samples.at(sim.run, { source: "student", n: blockOf(n) })?.blob.sha256).toBeDefined();
    }
    expect([run.head, run.head_hash]).toEqual([chain.length, chain.at(-1)?.hash ?? null]);
    expect(run.head).toBeGreaterThanOrEqual(this.#head);
    this.#head = run.head;
    // I3: one live lease of the run, under its newest fence, which only grows.
    const live = leases.all("owner = ?", sim.run);
    expect(live.length).toBeLessThanOrEqual(1);
    const { fence, holder } = fences.get(sim.run);
    for (const lease of live) expect([lease.fence, lease.boot]).toEqual([fence, holder]);
    expect(fence).toBeGreaterThanOrEqual(this.#fence);
    this.#fence = fence;
  }
}

/** Faults stop: an honest worker that stays. */
function settle(sim: Simulation): void {
  for (const other of sim.workers) sim.disconnect(other, true);
  sim.now += LEASE_MS;
  sim.turn(() => undefined);
  sim.now += MAX_SETBACK_WAIT_MS;
  const last = sim.workers[0]!;
  sim.connect(last);
  for (let round = 0; round < 60; round += 1) {
    sim.now += 100;
    sim.work(last);
  }
}

async function simulate(check: (sim: Simulation) => void): Promise<void> {
  await runInDurableObject(freshPool(), (_instance, state) => check(new Simulation(state.storage)));
}

describe("any interleaving", () => {
  test("keeps one terminal state a job, one gap-free chain, one live lease", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 20, maxLength: 120 }), async (acts) => {
        await simulate((sim) => {
          const watch = new Watch();
          sim.oracle = oracleOf(sim);
          for (const step of acts) {
            perform(sim, step);
            watch.check(sim);
          }
          settle(sim);
          watch.check(sim);
          const run = sim.tables.runs.get(sim.run)!;
          expect(["completed", "failed"]).toContain(run.status);
          if (run.status === "completed") expect(sim.tables.steps.count("run = ?", sim.run)).toBe(TOTAL);
          else expect(run.error?.code).toBe("poisoned");
          expect(sim.tables.jobs.count("status IN ('queued', 'running')")).toBe(0);
        });
      }),
      { numRuns: 40 },
    );
  });

  test("without faults it completes", async () => {
    await simulate((sim) => {
      settle(sim);
      expect(sim.tables.runs.get(sim.run)).toMatchObject({ status: "completed", head: TOTAL });
      expect(sim.tables.states.checkpoints(sim.run).map((row) => row.step)).toEqual([2, 4, 6]);
    });
  });
});
