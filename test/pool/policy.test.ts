// The pure policy: leases, poison, the journal's decisions, plans, spans.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CLOSED_SOCKET_MS,
  ENGINE_DEADLINE_MS,
  LEASE_MS,
  MAX_DEATHS,
  MAX_FAILURES,
  MAX_INTERRUPTIONS,
} from "../../src/config.ts";
import { decideSamples, decideStep, notReproducible, shrinkPlan } from "../../src/pool/journal.ts";
import {
  beginLease,
  cutLease,
  dropLease,
  engineDeadlineMs,
  leaseEndsAt,
  leaseVerdict,
  renewLease,
  reopenLease,
} from "../../src/pool/lease.ts";
import type { LeaseClock } from "../../src/pool/lease.ts";
import { counted, pauseMs, poisoned } from "../../src/pool/poison.ts";
import { batchSpan, median, trainSpan } from "../../src/pool/span.ts";
import type { TrainSpanInput } from "../../src/pool/span.ts";

const T = 1_000_000;

describe("a lease", () => {
  const lease = beginLease(T, ENGINE_DEADLINE_MS);
  const verdict = (clock: LeaseClock, now: number, open = true): string =>
    now < leaseEndsAt(clock) ? "live" : leaseVerdict(clock, now, open);

  test("ends after its time to live, unless renewed", () => {
    expect(verdict(lease, T + LEASE_MS - 1)).toBe("live");
    expect(verdict(lease, T + LEASE_MS)).toBe("expired");
    const renewed = renewLease(lease, 1, T + 20_000);
    expect(verdict(renewed, T + 20_000 + LEASE_MS - 1)).toBe("live");
  });

  test("ends when the tick stands still, however often it is renewed", () => {
    let clock = renewLease(lease, 3, T + 1000);
    for (let now = T + 5000; now < T + 61_000; now += 5000) {
      expect(verdict(clock, now)).toBe("live");
      clock = renewLease(clock, 3, now);
    }
    expect(verdict(clock, T + 61_000)).toBe("hung");
    expect(leaseEndsAt(clock)).toBe(T + 61_000);
    expect(verdict(renewLease(clock, 2, T + 60_000), T + 61_000)).toBe("hung");
    expect(verdict(renewLease(clock, 4, T + 60_000), T + 61_000)).toBe("live");
  });

  test("is cut when the socket closes, whole again when the boot is back", () => {
    const cut = cutLease(lease, T + 1000);
    expect(verdict(cut, T + 1000 + CLOSED_SOCKET_MS - 1)).toBe("live");
    expect(verdict(cut, T + 1000 + CLOSED_SOCKET_MS)).toBe("disconnected");
    expect(leaseEndsAt(cutLease(lease, T + LEASE_MS - 1))).toBe(T + LEASE_MS);
    expect(verdict(reopenLease(cut, T + 4000, 0), T + 4000 + LEASE_MS - 1)).toBe("live");
  });

  test("whose worker has no socket was disconnected, and one that its worker gave up was dropped", () => {
    expect(verdict(lease, T + LEASE_MS, false)).toBe("disconnected");
    expect(verdict(dropLease(lease, T + 1000), T + 1000)).toBe("dropped");
  });

  test("that the pool could not hear of has its tick's deadline from then on", () => {
    const back = reopenLease(lease, T + 100_000, T + 90_000);
    expect(leaseEndsAt(back)).toBe(T + 100_000 + LEASE_MS);
    expect(reopenLease(lease, T + 20_000, T - 1).tick_at).toBe(T);
  });

  test("the engine's deadline is ten median steps, at least a minute", () => {
    expect([null, 1, 6, 8.43217, 12].map(engineDeadlineMs)).toEqual([60_000, 60_000, 60_000, 84_322, 120_000]);
  });
});

describe("poison", () => {
  const none = { deaths: 0, failures: 0, interruptions: 0, last_error: null };

  test("deaths, failures and interruptions each have their limit", () => {
    const last_error = "boom";
    const most = { deaths: MAX_DEATHS - 1, failures: MAX_FAILURES - 1, interruptions: MAX_INTERRUPTIONS - 1 };
    expect(poisoned({ ...most, last_error })).toBeNull();
    expect(poisoned({ ...none, failures: MAX_FAILURES, last_error })?.message).toBe(
      "it failed 5 times; the last: boom",
    );
    expect(poisoned({ ...none, interruptions: MAX_INTERRUPTIONS })?.message).toBe("it was interrupted 20 times");
    expect(poisoned({ ...none, deaths: MAX_DEATHS })?.message).toBe("2 workers died at it");
  });

  test("what is said has its history, the last first", () => {
    const once = counted(none, "failure", "one");
    expect(counted(once, "interruption", "two")).toEqual({
      deaths: 0,
      failures: 1,
      interruptions: 1,
      last_error: "two; before: one",
    });
    expect(counted(once, "death", "x".repeat(2000)).last_error).toHaveLength(1000);
  });

  test("pauses double, within reason; a death and a first interruption cost none", () => {
    const failed = [1, 2, 3, 4, 9].map((failures) => pauseMs("failure", { ...none, failures }));
    expect(failed).toEqual([1000, 2000, 4000, 8000, 60_000]);
    const cut = [1, 2, 3, 20].map((interruptions) => pauseMs("interruption", { ...none, interruptions }));
    expect(cut).toEqual([0, 1000, 2000, 60_000]);
    expect(pauseMs("death", { ...none, deaths: 1 })).toBe(0);
  });
});

describe("a step", () => {
  const journal = { hash: null, head: 4, headHash: "h4", to: 9 };
  const step = { n: 5, prev: "h4", hash: "h5" };
  const never = () => {
    throw new Error("a stale fence reads nothing");
  };

  test("a dead lease is seen before anything is read", () => {
    expect(decideStep(step, null)).toBe("stale_fence");
    expect(() => decideStep(step, never)).toThrow("reads nothing");
  });

  test.each([
    ["fits", step, {}, "ok"],
    ["is there", { ...step, n: 3 }, { hash: "h5" }, "duplicate"],
    ["is there with another hash", { ...step, n: 3 }, { hash: "h3" }, "diverged"],
    ["is there with another past: the hash decides", { n: 3, prev: "x", hash: "h3" }, { hash: "h3" }, "duplicate"],
    ["is too far", { ...step, n: 6 }, {}, "gap"],
    ["is behind, and not there", { ...step, n: 4 }, {}, "gap"],
    ["has another past", { ...step, prev: "x" }, {}, "gap"],
    ["is past the lease", step, { to: 4 }, "gap"],
    [
      "is the first: its past is the workers' own",
      { n: 1, prev: "any", hash: "h1" },
      { head: 0, headHash: null },
      "ok",
    ],
  ])("%s", (_name, frame, changes, decision) => {
    expect(decideStep(frame, () => ({ ...journal, ...changes }))).toBe(decision);
  });

  test("two boots of one fingerprint and lineage that disagree end the run; two of different ones do not", () => {
    const a = { boot: "a", fingerprint: "f", lineage: 0 };
    expect(notReproducible([a, { ...a }], 0, "f")).toBe(false);
    expect(notReproducible([a, { ...a, boot: "b" }], 0, "f")).toBe(true);
    expect(notReproducible([a, { ...a, boot: "b", fingerprint: "g" }], 0, "f")).toBe(false);
    expect(notReproducible([a, { ...a, boot: "b", lineage: 1 }], 0, "f")).toBe(false);
  });
});

describe("samples", () => {
  const blob = { key: `p/r/1/${"a".repeat(64)}`, bytes: 1, sha256: "a".repeat(64) };
  const other = "b".repeat(64);
  test.each([
    ["new ones before their block", "student", 5, null, 4, "ok"],
    ["new ones of a block that is taken", "student", 5, null, 5, "gap"],
    ["the same again, also once their block is taken", "student", 5, blob.sha256, 9, "duplicate"],
    ["others for the block", "student", 5, other, 4, "gap"],
    ["a teacher's, though the journal is past them", "teacher", 5, null, 9, "ok"],
    ["a teacher's again", "teacher", 5, blob.sha256, 0, "duplicate"],
    ["a teacher's others", "teacher", 5, other, 0, "gap"],
  ] as const)("%s", (_name, source, n, there, head, decision) => {
    expect(decideSamples({ source, n, blob }, { there, head })).toBe(decision);
  });
});

describe("plans", () => {
  const first = { from: 1, micro_batch_tokens: null, head_chunk: 64, share_prefixes: true };

  test("micro-batches are halved first, head chunks where one row alone is too large", () => {
    const halved = shrinkPlan([first], { n: 3, rows: 8, tokens: 1000 });
    expect(halved).toEqual([first, { from: 3, micro_batch_tokens: 500, head_chunk: 64, share_prefixes: true }]);
    const again = shrinkPlan(halved ?? [], { n: 3, rows: 2, tokens: 300 });
    expect(again).toEqual([first, { from: 3, micro_batch_tokens: 150, head_chunk: 64, share_prefixes: true }]);
    const chunk = shrinkPlan(again ?? [], { n: 4, rows: 1, tokens: 150 });
    expect(chunk?.at(-1)).toEqual({ from: 4, micro_batch_tokens: 150, head_chunk: 32, share_prefixes: true });
  });

  test("shrinking ends: the plan only ever gets smaller, and then there is nothing left to try", () => {
    const oom = fc.record({ rows: fc.integer({ min: 1, max: 64 }), tokens: fc.integer({ min: 1, max: 100_000 }) });
    fc.assert(
      fc.property(fc.array(oom, { minLength: 60, maxLength: 60 }), (shapes) => {
        let plan = shrinkPlan([first], { n: 1, rows: 9, tokens: 9000 });
        let tries = 0;
        for (const shape of shapes) {
          const next = plan === null ? null : shrinkPlan(plan, { n: 1, ...shape });
          if (plan === null || next === null) break;
          const [before, after] = [plan.at(-1)!, next.at(-1)!];
          expect(after.micro_batch_tokens!).toBeLessThanOrEqual(before.micro_batch_tokens!);
          expect(after.head_chunk).toBeLessThanOrEqual(before.head_chunk);
          expect(after).not.toEqual(before);
          plan = next;
          tries += 1;
        }
        expect(tries).toBeLessThan(30);
      }),
    );
  });
});

describe("spans", () => {
  const input: TrainSpanInput = {
    head: 10,
    totalSteps: 100,
    target: 50,
    checkpoint: false,
    checkpointEvery: null,
    evaluationEvery: null,
    stored: new Set(),
    resume: 0,
    medianSeconds: 2,
    kept: true,
  };

  test("the steps of ten seconds, one at first, at least one, no further than the target", () => {
    expect(trainSpan(input)).toEqual({ from: 11, to: 15, checkpointAt: [] });
    expect(trainSpan({ ...input, medianSeconds: null }).to).toBe(11);
    expect(trainSpan({ ...input, medianSeconds: 40 }).to).toBe(11);
    expect(trainSpan({ ...input, medianSeconds: 0.001 }).to).toBe(50);
    expect(trainSpan({ ...input, target: 12 }).to).toBe(12);
  });

  test("checkpoints: every so many, the one asked for, the last; each once", () => {
    const every = { ...input, checkpointEvery: 5, medianSeconds: 0.1 };
    expect(trainSpan(every).checkpointAt).toEqual([10, 15, 20, 25, 30, 35, 40, 45, 50]);
    expect(trainSpan({ ...every, stored: new Set([10, 20]) }).checkpointAt).toEqual([15, 25, 30, 35, 40, 45, 50]);
    expect(trainSpan({ ...input, target: 10, checkpoint: true })).toEqual({ from: 11, to: 10, checkpointAt: [10] });
    expect(trainSpan({ ...input, head: 99, target: 100 })).toEqual({ from: 100, to: 100, checkpointAt: [100] });
    expect(trainSpan({ ...input, head: 100, target: 100 })).toEqual({ from: 101, to: 100, checkpointAt: [100] });
    expect(trainSpan({ ...input, head: 0, target: 0, checkpoint: true }).checkpointAt).toEqual([0]);
  });

  test("checkpoints: also where the run is evaluated; each once", () => {
    const every = { ...input, checkpointEvery: 10, evaluationEvery: 4, medianSeconds: 0.5 };
    expect(trainSpan(every)).toEqual({ from: 11, to: 30, checkpointAt: [10, 12, 16, 20, 24, 28, 30] });
    expect(trainSpan({ ...every, checkpointEvery: null }).checkpointAt).toEqual([12, 16, 20, 24, 28]);
    const lost = { ...every, checkpointEvery: null, kept: false };
    expect(trainSpan(lost)).toMatchObject({ from: 5, checkpointAt: [4, 8, 12, 16, 20, 24, 28] });
  });

  test("after a change of holder it begins at the first lost checkpoint that a replay passes", () => {
    const lost = { ...input, checkpointEvery: 4, kept: false };
    expect(trainSpan(lost)).toMatchObject({ from: 5, checkpointAt: [4, 8, 12] });
    expect(trainSpan({ ...lost, resume: 6 })).toMatchObject({ from: 9, checkpointAt: [8, 12] });
    expect(trainSpan({ ...lost, resume: 8 })).toMatchObject({ from: 9, checkpointAt: [8, 12] });
    expect(trainSpan({ ...lost, resume: 9 })).toMatchObject({ from: 11, checkpointAt: [12] });
    expect(trainSpan({ ...lost, stored: new Set([4, 8]) })).toMatchObject({ from: 11, checkpointAt: [12] });
  });

  test("a long replay is taken again in part, so that its hashes fit", () => {
    const long = { ...input, head: 25_000, totalSteps: 90_000, target: 90_000, resume: 100 };
    expect(trainSpan(long)).toMatchObject({ from: 351, to: 25_005 });
  });

  test("batches: four at the most, fewer where they are large, at least one", () => {
    const open = [3, 3, 3, 3, 3].map((bytes, batch) => ({ batch, bytes }));
    expect(batchSpan(open, 100)).toHaveLength(4);
    expect(batchSpan(open, 7)).toHaveLength(2);
    expect(batchSpan(open, 1)).toHaveLength(1);
    expect(batchSpan([], 1)).toEqual([]);
  });

  test("the median", () => {
    expect([[], [3], [1, 9], [5, 1, 9]].map(median)).toEqual([null, 3, 5, 5]);
  });
});
