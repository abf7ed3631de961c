import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { logSigmoid, logSumExp, sigmoid } from "../../src/scoring/logistic.ts";
import { accuracy, pairwise, preferenceLoss, preferenceProbability } from "../../src/scoring/preference.ts";
import { firstPlace, orderLogLikelihood, ranks } from "../../src/scoring/ranking.ts";

const reward = fc.double({ min: -1000, max: 1000, noNaN: true });
const rewards = fc.array(reward, { minLength: 1, maxLength: 64 });

function permutations<T>(items: T[]): T[][] {
  if (items.length <= 1) return [items];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}

describe("Bradley-Terry", () => {
  it.each([
    [0, 0.5, Math.LN2],
    [Math.log(3), 0.75, Math.log(4 / 3)],
    [-Math.log(3), 0.25, Math.log(4)],
  ])("margin %d", (margin, probability, loss) => {
    expect(preferenceProbability(margin)).toBeCloseTo(probability, 15);
    expect(preferenceLoss(margin)).toBeCloseTo(loss, 15);
  });

  it("neither overflows nor loses small values", () => {
    expect(sigmoid(1e6)).toBe(1);
    expect(sigmoid(-1e6)).toBe(0);
    expect(preferenceLoss(-1e6)).toBe(1e6);
    expect(preferenceLoss(40)).toBeCloseTo(Math.exp(-40), 30);
    expect(preferenceLoss(1e6)).toBe(0);
    expect(logSigmoid(-745)).toBeCloseTo(-745, 9);
  });

  it("is certain to prefer one of two", () => {
    fc.assert(
      fc.property(reward, (margin) => {
        expect(sigmoid(margin) + sigmoid(-margin)).toBeCloseTo(1, 14);
        expect(logSigmoid(margin) - logSigmoid(-margin)).toBeCloseTo(margin, 8);
      }),
    );
  });

  it("makes a matrix whose opposite entries sum to 1", () => {
    const matrix = pairwise([1, 0, -2]);
    matrix.forEach((row, i) => row.forEach((p, j) => expect(p + matrix[j]![i]!).toBeCloseTo(1, 15)));
    expect(matrix[0]![1]).toBeCloseTo(sigmoid(1), 15);
    expect(matrix[1]![1]).toBe(0.5);
  });

  it("counts ties as one half", () => {
    expect(accuracy([1, -1, 0, 0])).toBe(0.5);
    expect(accuracy([1, 2, 0, -3])).toBe(0.625);
  });
});

describe("Plackett-Luce", () => {
  it("gives the first place by softmax, and with two responses it is Bradley-Terry", () => {
    fc.assert(
      fc.property(rewards, (values) => {
        expect(firstPlace(values).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
      }),
    );
    expect(firstPlace([2, 0.5])[0]).toBeCloseTo(sigmoid(1.5), 15);
    expect(logSumExp([1000, 1000])).toBeCloseTo(1000 + Math.LN2, 12);
  });

  it("gives all orders together the probability 1, and each first place its marginal", () => {
    const values = [0.3, -1.2, 2.0, 0.3];
    const orders = permutations([0, 1, 2, 3]).map((order) => ({
      first: order[0]!,
      p: Math.exp(orderLogLikelihood(order.map((i) => values[i]!))),
    }));
    expect(orders.reduce((sum, { p }) => sum + p, 0)).toBeCloseTo(1, 12);
    firstPlace(values).forEach((p, i) => {
      const marginal = orders.filter((order) => order.first === i).reduce((sum, order) => sum + order.p, 0);
      expect(marginal).toBeCloseTo(p, 12);
    });
  });

  it("ranks the largest first; equal rewards share a rank", () => {
    expect(ranks([0.1, 0.5, 0.1, -1])).toEqual([2, 1, 2, 4]);
  });
});
