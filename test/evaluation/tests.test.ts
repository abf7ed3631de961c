import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compare } from "../../src/evaluation/compare.ts";
import { detectableDifference } from "../../src/evaluation/power.ts";
import { holm, mcNemar, signFlip } from "../../src/evaluation/tests.ts";

const options = { minOverlap: 0.95, flips: 10_000 };

/** The p-value of the sign-flip test over all 2^n signs. */
function allSigns(differences: number[]): number {
  const observed = Math.abs(differences.reduce((a, b) => a + b, 0));
  let extreme = 0;
  for (let signs = 0; signs < 2 ** differences.length; signs++) {
    const sum = differences.reduce((total, d, i) => total + ((signs >> i) & 1 ? d : -d), 0);
    if (Math.abs(sum) >= observed - 1e-9) extreme++;
  }
  return extreme / 2 ** differences.length;
}

describe("McNemar", () => {
  it.each([
    [0, 0, 1],
    [5, 5, 1],
    [0, 1, 1],
    [0, 5, 2 / 32],
    [1, 6, (2 * (1 + 7)) / 128],
    [8, 1, (2 * (1 + 9)) / 512],
  ])("%d against %d by hand", (b, c, p) => expect(mcNemar(b, c)).toBeCloseTo(p, 14));

  it("does not underflow", () => {
    expect(mcNemar(4000, 6000)).toBeGreaterThan(0);
    expect(mcNemar(4000, 6000)).toBeLessThan(1e-88);
  });
});

describe("sign flips", () => {
  it("agree with all signs, counted one by one", () => {
    const values = fc.array(fc.integer({ min: -50, max: 100 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(values, (differences) => {
        // Monte Carlo error: five standard deviations of at most 0.005.
        expect(signFlip(differences, { flips: 10_000, seed: 1 })).toBeCloseTo(allSigns(differences), 1);
      }),
      { numRuns: 25, seed: 3 },
    );
  });

  it("are never 0, and 1 where nothing differs", () => {
    expect(signFlip(new Array<number>(200).fill(3), { flips: 1000, seed: 1 })).toBe(1 / 1001);
    expect(signFlip([0, 0], { flips: 1000, seed: 1 })).toBe(1);
  });

  it("agree with McNemar on 0/1 answers", () => {
    const differences = [...new Array<number>(14).fill(100), ...new Array<number>(4).fill(-100)];
    expect(signFlip(differences, { flips: 10_000, seed: 2 })).toBeCloseTo(mcNemar(14, 4), 2);
  });
});

describe("comparing two evaluations", () => {
  const values = (scores: number[], binary: boolean) => ({
    values: new Map(scores.map((score, i) => [`item-${i}`, score])),
    binary,
  });

  it("is McNemar's for 0/1 with one seed, and knows the spread", () => {
    const a = [...new Array<number>(10).fill(100), ...new Array<number>(10).fill(0)];
    const b = [...new Array<number>(4).fill(100), ...new Array<number>(16).fill(0)];
    // Six differ, all one way: sd^2 = 0.3 - 0.3^2 = 0.21, in points x100.
    const result = compare(values(a, true), values(b, true), options);
    expect(result.n).toBe(20);
    expect(result.p).toBeCloseTo(2 / 64, 14);
    expect(result.sd).toBeCloseTo(100 * Math.sqrt(0.21), 10);
  });

  it("is the same in either order", () => {
    const a = values([10, 20, 70, 90, 35, 60], false);
    const b = values([15, 10, 40, 80, 30, 66], false);
    expect(compare(a, b, options)).toEqual(compare(b, a, options));
  });

  it("is null below 95% overlap", () => {
    const a = values(new Array<number>(20).fill(100), true);
    expect(compare(a, values(new Array<number>(19).fill(0), true), options).p).not.toBeNull();
    expect(compare(a, values(new Array<number>(18).fill(0), true), options)).toEqual({ p: null, sd: null, n: 18 });
  });
});

describe("Holm", () => {
  it("adjusts a textbook case, in the order given", () => {
    expect(holm([0.01, 0.04, 0.03, 0.005]).map((p) => Number(p.toFixed(10)))).toEqual([0.03, 0.06, 0.06, 0.02]);
    expect(holm([])).toEqual([]);
    expect(holm([0.9, 0.8])).toEqual([1, 1]);
  });
});

describe("detectable difference", () => {
  it("is what the paired test finds four times in five", () => {
    // 2,000 simulated pairs of 400 normal differences with the mean that the formula names, from 12 uniforms each.
    const n = 400;
    const delta = detectableDifference(1, n);
    let seed = 1;
    const uniform = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
    const normal = () => Array.from({ length: 12 }, uniform).reduce((a, b) => a + b, -6);
    const found = Array.from({ length: 2000 }, () => {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += delta + normal();
      return Math.abs(sum) / Math.sqrt(n) > 1.959964;
    }).filter(Boolean).length;
    expect(found / 2000).toBeGreaterThan(0.77);
    expect(found / 2000).toBeLessThan(0.83);
  });
});
