// Who gets which job: capability, affinity, fingerprints, fairness.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { eligible, nextTurn, schedule } from "../../src/pool/schedule.ts";
import { AFFINITY_WAIT_MS } from "../../src/config.ts";
import type { Candidate, CandidateRun, Round, Seat } from "../../src/pool/schedule.ts";

const NOW = 1_000_000;
const clock = { now: NOW, fingerprintWaitMs: 600_000 };
const start: Round = { deficits: {}, turn: null };

const run = (changes: Partial<CandidateRun> = {}): CandidateRun => {
  const base = { id: "run_1", lineage: 0, head: 3, headHash: "h3", fingerprint: "f1", engine: 1 };
  return { ...base, holder: null, waitingSince: null, ...changes };
};
const job = (name: string, changes: Partial<Candidate> = {}): Candidate => {
  const base = { job: name, project: "a", kind: "score" as const, localModels: [], models: [], cost: 10, protocol: 1 };
  return { ...base, readyAt: NOW, failedOn: null, banned: [], run: null, ...changes };
};
/** `free`: as many in each lane. */
const seat = (boot: string, { free = 1, ...changes }: Partial<Omit<Seat, "free">> & { free?: number } = {}): Seat => {
  const kinds = ["score", "train"] as const;
  const room = { long: free, requests: free };
  const is = { boot, project: "", kinds, models: [], fingerprint: "f1", engine: 1, protocol: 2 };
  return { ...is, free: room, loaded: [], runs: [], ...changes };
};
const train = (changes: Partial<CandidateRun> = {}, more: Partial<Candidate> = {}): Candidate =>
  job("t", { kind: "train", run: run(changes), ...more });
const boots = (queue: Candidate[], seats: Seat[], now = NOW): string[] =>
  schedule(queue, seats, start, { ...clock, now }).grants.map((grant) => `${grant.job}>${grant.boot}`);

describe("capability", () => {
  test.each([
    ["a kind it does not do", { kinds: ["train" as const] }, {}],
    ["a model that it does not declare", {}, { localModels: ["tiny"] }],
    ["a project that it is not bound to", { project: "b" }, {}],
    ["a ban", {}, { banned: ["w"] }],
    ["a protocol that it does not speak", { protocol: 1 }, { protocol: 2 }],
  ])("%s", (_name, changes, more) => {
    expect(eligible(job("j", more), seat("w", changes))).toBe(false);
  });

  test("what it may take", () => {
    expect(eligible(job("j", { localModels: ["x"] }), seat("w", { project: "a", models: ["x", "y"] }))).toBe(true);
  });
});

describe("affinity", () => {
  test("a job goes to the free worker with most of its models in memory", () => {
    const seats = [seat("cold", { free: 5 }), seat("warm", { loaded: ["m1"] }), seat("hot", { loaded: ["m1", "m2"] })];
    expect(boots([job("j", { models: ["m1", "m2"] })], seats)).toEqual(["j>hot"]);
    expect(boots([job("j", { models: ["m1"] })], [seat("cold"), seat("warm", { loaded: ["m1"], free: 0 })])).toEqual([
      "j>cold",
    ]);
  });

  test("a worker that it failed on is taken again only if there is no other", () => {
    const failed = job("j", { failedOn: "one", models: ["m"] });
    expect(boots([failed], [seat("one", { loaded: ["m"] }), seat("two")])).toEqual(["j>two"]);
    expect(boots([failed], [seat("one"), seat("two", { free: 0 })])).toEqual(["j>one"]);
  });

  test("a run stays with the worker that has its fence, for a while even when that is busy", () => {
    const seats = [seat("one"), seat("two")];
    expect(boots([train({ holder: "two" })], seats)).toEqual(["t>two"]);
    const busy = [seat("one"), seat("two", { free: 0 })];
    expect(boots([train({ holder: "two" })], busy)).toEqual([]);
    expect(schedule([train({ holder: "two" })], busy, start, clock).wakeAt).toBe(NOW + AFFINITY_WAIT_MS);
    expect(boots([train({ holder: "two" })], busy, NOW + AFFINITY_WAIT_MS)).toEqual(["t>one"]);
    expect(boots([train({ holder: "gone" })], seats)).toEqual(["t>one"]);
  });

  test("without a holder, a worker that holds exactly the run's head is preferred", () => {
    const held = { run: "run_1", lineage: 0, head: 3, hash: "h3" };
    const seats = [seat("one"), seat("two", { runs: [held] })];
    expect(boots([train()], seats)).toEqual(["t>two"]);
    expect(boots([train()], [seat("one"), seat("two", { runs: [{ ...held, hash: "x" }] })])).toEqual(["t>one"]);
  });
});

describe("fingerprints", () => {
  test("a run with steps waits for its own, then moves and opens a lineage", () => {
    const other = [seat("w", { fingerprint: "f2" })];
    const waiting = train({ waitingSince: NOW });
    expect(schedule([waiting], other, start, clock)).toMatchObject({ grants: [], wakeAt: NOW + 600_000 });
    const later = schedule([waiting], other, start, { ...clock, now: NOW + 600_000 });
    expect(later.grants).toEqual([{ job: "t", boot: "w", newLineage: true }]);
    expect(boots([train({ fingerprint: null, head: 0 })], other)).toEqual(["t>w"]);
  });

  test("after an upgrade it moves at once: nobody of its own engine will come", () => {
    const upgraded = [seat("w", { fingerprint: "f2", engine: 2 })];
    const grants = [{ job: "t", boot: "w", newLineage: true }];
    expect(schedule([train({ waitingSince: NOW })], upgraded, start, clock).grants).toEqual(grants);
    const mixed = [seat("own", { free: 0 }), ...upgraded];
    expect(boots([train({ waitingSince: NOW })], mixed)).toEqual([]);
    const older = [seat("w", { fingerprint: "f0", engine: 0 })];
    expect(boots([train({ waitingSince: NOW })], older)).toEqual([]);
  });

  test("while one of its own is there, if busy, no other is taken", () => {
    const seats = [seat("own", { free: 0 }), seat("w", { fingerprint: "f2" })];
    expect(boots([train({ waitingSince: NOW - 900_000 })], seats)).toEqual([]);
  });
});

describe("fairness", () => {
  test("equal jobs of two projects alternate", () => {
    const queue = ["a1", "a2", "a3", "b1", "b2", "b3"].map((name) => job(name, { project: name[0]!, cost: 256 }));
    const order: string[] = [];
    let round = start;
    let open = queue;
    while (open.length > 0) {
      const result = schedule(open, [seat("w")], round, clock);
      const [grant] = result.grants;
      order.push(grant!.job);
      round = result.round;
      open = open.filter((candidate) => candidate.job !== grant!.job);
    }
    expect(order).toEqual(["a1", "b1", "a2", "b2", "a3", "b3"]);
  });

  test("over time every project that always has work gets the same tokens, whatever its jobs cost", () => {
    const costs = fc.array(fc.integer({ min: 1, max: 50_000 }), { minLength: 2, maxLength: 5 });
    fc.assert(
      fc.property(costs, fc.nat(), (perProject, seed) => {
        const projects = new Map(perProject.map((cost, index) => [`p${index}`, cost]));
        const served = new Map([...projects.keys()].map((project) => [project, 0]));
        let round = start;
        for (let turn = 0; turn < 400 + (seed % 7); turn += 1) {
          const next = nextTurn(round, projects);
          if (next === null) throw new Error("nobody was served");
          round = next.round;
          served.set(next.project, served.get(next.project)! + projects.get(next.project)!);
        }
        // Deficit round-robin: no two differ by more than a quantum and the largest job.
        const totals = [...served.values()];
        const bound = 256 + 2 * Math.max(...perProject);
        expect(Math.max(...totals) - Math.min(...totals)).toBeLessThanOrEqual(bound);
      }),
    );
  });

  test("no grant exceeds a worker's slots, none is given twice, and none that fits is left while a slot is free", () => {
    const jobs = fc.array(
      fc.record({ project: fc.constantFrom("a", "b", "c"), cost: fc.integer({ min: 1, max: 9999 }) }),
    );
    const slots = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 });
    fc.assert(
      fc.property(jobs, slots, (asked, free) => {
        const queue = asked.map((fields, index) => job(`j${index}`, fields));
        const seats = free.map((count, index) => seat(`w${index}`, { free: count }));
        const { grants } = schedule(queue, seats, start, clock);
        const total = free.reduce((sum, count) => sum + count, 0);
        expect(grants).toHaveLength(Math.min(total, queue.length));
        expect(new Set(grants.map((grant) => grant.job)).size).toBe(grants.length);
        for (const { boot, free: count } of seats) {
          expect(grants.filter((grant) => grant.boot === boot).length).toBeLessThanOrEqual(count.requests);
        }
      }),
    );
  });

  test("a request does not wait for a slot that a long job holds, nor a long job for a request's", () => {
    const busy = { ...seat("w"), free: { long: 0, requests: 1 } };
    const queue = [train({ fingerprint: null }), job("one", { kind: "complete" }), job("two", { kind: "tokenize" })];
    const able = { ...busy, kinds: ["train", "complete", "tokenize"] as const };
    expect(boots(queue, [able])).toEqual(["one>w"]);
    expect(boots(queue, [{ ...able, free: { long: 1, requests: 0 } }])).toEqual(["t>w"]);
  });

  test("within a project the longest ready goes first, and one that cannot be placed holds nobody back", () => {
    const queue = [job("stuck", { localModels: ["none"] }), job("first"), job("second")];
    expect(boots(queue, [seat("w")])).toEqual(["first>w"]);
  });
});
