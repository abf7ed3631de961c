import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bradleyTerry } from "../../src/scoring/bradley-terry.ts";
import { sigmoid } from "../../src/scoring/logistic.ts";

const ln = Math.log;
/** A table of n players in which every pair has met, with shares as soft outcomes. */
const tables = fc.integer({ min: 2, max: 7 }).chain((n) =>
  fc.array(fc.array(fc.double({ min: 0.1, max: 20, noNaN: true }), { minLength: n, maxLength: n }), {
    minLength: n,
    maxLength: n,
  }),
);

const close = (ours: readonly (number | null)[], expected: readonly number[], digits = 9) => {
  ours.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, digits));
};

describe("strengths by hand", () => {
  it("of two players are the log-odds", () => {
    close(bradleyTerry([[0, 3], [1, 0]]), [0, ln(1 / 3)]); // prettier-ignore
    close(bradleyTerry([[0, 3], [1, 0]], 1), [ln(3), 0]); // prettier-ignore
    close(bradleyTerry([[0, 0.25 * 40], [0.75 * 40, 0]]), [0, ln(3)]); // prettier-ignore
  });

  it("of three in a chain are sums of log-odds; of a cycle with equal odds, 0", () => {
    close(bradleyTerry([[0, 1, 0], [2, 0, 1], [0, 4, 0]]), [0, ln(2), ln(8)]); // prettier-ignore
    close(bradleyTerry([[0, 2, 0], [0, 0, 2], [2, 0, 0]]), [0, 0, 0]); // prettier-ignore
  });

  it("of three who all met: the expected wins are the wins", () => {
    const wins = [[0, 5, 9], [3, 0, 6], [1, 4, 0]]; // prettier-ignore
    const strengths = bradleyTerry(wins).map((value) => value!);
    wins.forEach((row, i) => {
      const expected = row.map((_, j) => (wins[i]![j]! + wins[j]![i]!) * sigmoid(strengths[i]! - strengths[j]!));
      expect(expected.filter((_, j) => j !== i).reduce((a, b) => a + b, 0)).toBeCloseTo(
        row.reduce((a, b) => a + b, 0),
        9,
      );
    });
  });

  it("far from 0 are found too", () => {
    close(bradleyTerry([[0, 1e-12], [1, 0]]), [0, 12 * ln(10)], 6); // prettier-ignore
  });
});

describe("a strength that the comparisons do not bound", () => {
  it("is null: one that won all, lost all, or met nobody of the others", () => {
    expect(bradleyTerry([[0, 0], [5, 0]])).toEqual([0, null]); // prettier-ignore
    expect(bradleyTerry([[0, 5], [0, 0]])).toEqual([0, null]); // prettier-ignore
    expect(bradleyTerry([[0, 0], [0, 0]])).toEqual([0, null]); // prettier-ignore
    expect(bradleyTerry([[0]])).toEqual([0]);
    expect(bradleyTerry([])).toEqual([]);
  });

  it("is null on both sides where doubles cannot tell the odds from none", () => {
    const rare = 1e-300;
    expect(bradleyTerry([[0, 1 - rare], [rare, 0]])).toEqual([0, null]); // prettier-ignore
    expect(bradleyTerry([[0, rare], [1 - rare, 0]])).toEqual([0, null]); // prettier-ignore
  });

  it("leaves the others' alone", () => {
    const [teacher, bounded, unbounded] = bradleyTerry([[0, 1, 0], [3, 0, 0], [7, 9, 0]]); // prettier-ignore
    expect([teacher, unbounded]).toEqual([0, null]);
    expect(bounded).toBeCloseTo(ln(3), 9);
  });
});

describe("whatever the table", () => {
  it("scaling all counts changes nothing; reversing every outcome turns every sign", () => {
    fc.assert(
      fc.property(tables, fc.double({ min: 0.5, max: 50, noNaN: true }), (wins, scale) => {
        const strengths = bradleyTerry(wins).map((value) => value!);
        close(bradleyTerry(wins.map((row) => row.map((count) => count * scale))), strengths, 7);
        const reversed = wins.map((_, i) => wins.map((row) => row[i]!));
        close(bradleyTerry(reversed), strengths.map((value) => -value), 7); // prettier-ignore
      }),
    );
  });

  it("another reference shifts all alike; another order of players is another order of strengths", () => {
    fc.assert(
      fc.property(tables, (wins) => {
        const strengths = bradleyTerry(wins).map((value) => value!);
        const last = wins.length - 1;
        close(bradleyTerry(wins, last), strengths.map((value) => value - strengths[last]!), 7); // prettier-ignore
        const turned = wins.map((row) => row.toReversed()).toReversed();
        close(bradleyTerry(turned, last), strengths.toReversed(), 7);
      }),
    );
  });

  it("against one opponent alone a strength is the log-odds of the mean, whoever else plays", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.01, max: 0.99, noNaN: true }), { minLength: 1, maxLength: 12 }),
        (shares) => {
          const teacher = [0, ...shares.map((share) => 40 * (1 - share))];
          const students = shares.map((share) => [40 * share, ...shares.map(() => 0)]);
          close(bradleyTerry([teacher, ...students]), [0, ...shares.map((share) => ln(share / (1 - share)))], 8);
        },
      ),
    );
  });
});
