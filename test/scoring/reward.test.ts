import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { implicitReward, logprob, tokenRewards } from "../../src/scoring/reward.ts";

const scored = (teacher: number[], student: number[]) => ({
  token_ids: teacher.map((_, i) => i),
  token_texts: teacher.map(String),
  teacher_logprobs: teacher,
  student_logprobs: student,
});

describe("implicit reward", () => {
  it("equals a case computed by hand", () => {
    // log p = -1 - 2 = -3; log q = -0.5 - 1.5 = -2; r = 0.1 * (-2 + 3) = 0.1; normalised 0.1 / 2 = 0.05.
    const response = scored([-1, -2], [-0.5, -1.5]);
    expect(logprob(response.teacher_logprobs)).toBe(-3);
    expect(implicitReward(response, { beta: 0.1, lengthNormalize: false })).toBeCloseTo(0.1, 12);
    expect(implicitReward(response, { beta: 0.1, lengthNormalize: true })).toBeCloseTo(0.05, 12);
  });

  it("is 0 of equal models, and of a response without tokens", () => {
    expect(implicitReward(scored([-1, -3], [-1, -3]), { beta: 2, lengthNormalize: true })).toBe(0);
    expect(implicitReward(scored([], []), { beta: 0.1, lengthNormalize: true })).toBe(0);
  });

  it("is the sum of its tokens' shares", () => {
    const logprobs = fc.float({ min: -50, max: 0, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(logprobs, logprobs), { maxLength: 50 }),
        fc.boolean(),
        (tokens, lengthNormalize) => {
          const response = scored(
            tokens.map(([teacher]) => teacher),
            tokens.map(([, student]) => student),
          );
          const options = { beta: 0.3, lengthNormalize };
          const sum = tokenRewards(response, options).reduce((a, b) => a + b, 0);
          expect(sum).toBeCloseTo(implicitReward(response, options), 9);
        },
      ),
    );
  });

  it("refuses log-probabilities of different lengths", () => {
    expect(() => tokenRewards(scored([-1], [-1, -2]), { beta: 1, lengthNormalize: false })).toThrow(RangeError);
  });
});
