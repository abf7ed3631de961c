import { describe, expect, it } from "vitest";
import { bootstrap, mean, wilson } from "../../src/evaluation/interval.ts";
import { GRADERS, ofEachMetric } from "../../src/evaluation/graders.ts";
import { itemValues } from "../../src/evaluation/items.ts";
import { below, randomWords } from "../../src/evaluation/random.ts";
import { summarize } from "../../src/evaluation/summary.ts";

const resamples = 10_000;
const ofOne = (values: Float64Array) => bootstrap([values], { resamples, seed: 95 }).get(values)!;
/** Every right-or-wrong metric has the first value, every other the second. */
const record = (item: string, judged: number | null, measured: number | null = judged) => ({
  item,
  metrics: ofEachMetric((metric) => (GRADERS[metric].binary ? judged : measured)),
});

describe("the generator", () => {
  it("repeats itself, and differs by seed", () => {
    const draw = (seed: number, ...sizes: number[]) => {
      const fill = randomWords(seed);
      return sizes.flatMap((size) => {
        const words = new Uint32Array(size);
        fill(words);
        return [...words];
      });
    };
    expect(draw(1, 5)).toEqual(draw(1, 2, 0, 3));
    expect(draw(1, 5)).not.toEqual(draw(2, 5));
  });

  it("is uniform in every bit and over a range", () => {
    const words = new Uint32Array(20_000);
    randomWords(3)(words);
    const bits = new Array<number>(32).fill(0);
    const counts = new Array<number>(10).fill(0);
    for (const word of words) {
      bits.forEach((_, bit) => (bits[bit]! += (word >>> bit) & 1));
      counts[below(word, 10)]!++;
    }
    // Standard deviations: 71 of 10,000 for a bit, 42 of 2,000 for a tenth; five of each are allowed.
    bits.forEach((count) => expect(Math.abs(count - 10_000)).toBeLessThan(360));
    counts.forEach((count) => expect(Math.abs(count - 2000)).toBeLessThan(215));
  });
});

describe("intervals", () => {
  it("Wilson: 5 of 10 by hand", () => {
    // center (0.5 + 3.8415/20) / 1.38415 = 0.5; half 1.96 sqrt(0.025 + 0.0096037) / 1.38415 = 0.2634.
    const { mean: share, low, high } = wilson(5, 10);
    expect([share, low, high].map((x) => Number(x.toFixed(4)))).toEqual([0.5, 0.2366, 0.7634]);
  });

  it("Wilson: stays within 0 and 1", () => {
    expect(wilson(0, 3).low).toBe(0);
    expect(wilson(3, 3).high).toBe(1);
  });

  it("bootstrap: near the normal interval where that holds, the same every time", () => {
    const values = Float64Array.from({ length: 400 }, (_, i) => i % 100);
    const interval = ofOne(values);
    const half = (1.96 * Math.sqrt((100 ** 2 - 1) / 12)) / Math.sqrt(400);
    expect(interval.mean).toBe(mean(values));
    expect(interval.low).toBeCloseTo(49.5 - half, 0);
    expect(interval.high).toBeCloseTo(49.5 + half, 0);
    expect(ofOne(values)).toEqual(interval);
  });

  it("bootstrap: of equal values is that value", () => {
    expect(ofOne(Float64Array.of(7, 7, 7))).toEqual({ mean: 7, low: 7, high: 7, n: 3 });
  });

  it("bootstrap: of several columns is that of each, whichever share their draws", () => {
    const column = (length: number, step: number) => Float64Array.from({ length }, (_, i) => (i * step) % 101);
    const columns = [column(50, 7), column(50, 13), column(49, 7), column(50, 7)];
    const together = bootstrap(columns, { resamples, seed: 95 });
    expect(columns.map((one) => together.get(one))).toEqual(columns.map(ofOne));
  });
});

describe("an evaluation's figures", () => {
  it("takes the item as the unit: its value is the mean over seeds", () => {
    const records = [record("a", 100), record("a", 0), record("b", 100), record("b", 100)];
    const { values, binary } = itemValues(records, "exact_match");
    expect(Object.fromEntries(values)).toEqual({ a: 50, b: 100 });
    expect(binary).toBe(false);
    expect(summarize(records, { resamples }).exact_match).toMatchObject({ mean: 75, n: 2 });
  });

  it("uses Wilson for right or wrong with one seed, the bootstrap for shares", () => {
    const records = Array.from({ length: 10 }, (_, i) => record(`r${i}`, i < 5 ? 100 : 0, 50));
    const metrics = summarize(records, { resamples });
    expect(metrics.exact_match?.low).toBeCloseTo(23.66, 2);
    expect(metrics.numeric_match).toEqual(metrics.exact_match);
    expect(metrics.rouge_l).toEqual({ mean: 50, low: 50, high: 50, n: 10 });
  });

  it("leaves out what has no grade, and says null of nothing", () => {
    expect(summarize([record("a", null), record("b", 100)], { resamples }).exact_match?.n).toBe(1);
    expect(summarize([record("a", null)], { resamples })).toEqual(ofEachMetric(() => null));
  });
});
