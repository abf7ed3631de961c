// What the edge bench makes of its measurements, on cases worked out by hand.
import { expect, test } from "vitest";
import { apart, ranking } from "../../bench/edge/accuracy.ts";
import { crossing } from "../../bench/edge/crossover.ts";
import { mapped } from "../../bench/edge/memory.ts";

test("the mean and the largest difference are over tokens", () => {
  const found = apart([[[-1, -2]], [[-3]]], [[[-1, -2.5]], [[-2]]]);
  expect(found).toEqual({ mean: 0.5, max: 1, tokens: 3 });
});

test("a missing log-probability is no difference of 0", () => {
  expect(apart([[[-1, -2]]], [[[-1]]]).mean).toBe(Infinity);
});

test("pairs count whose gap the bound cannot explain, and are swapped where their order differs", () => {
  // Sums -1, -2 and -1.1; with a bound of 0.2 a token, gaps above 0.4 count: the first and second, the second and third.
  const theirs = [[[-1], [-2], [-1.1]]];
  expect(ranking(theirs, [[[-1.2], [-1.7], [-1.1]]], 0.2)).toEqual({ pairs: 2, swapped: 0 });
  expect(ranking(theirs, [[[-1.9], [-1.8], [-1.1]]], 0.2)).toEqual({ pairs: 2, swapped: 1 });
  // The longer response of two has two tokens: gaps above 0.8 count.
  expect(ranking([[[-1], [-0.2, -0.1]]], [[[-1], [-2, -0.1]]], 0.2)).toEqual({ pairs: 0, swapped: 0 });
});

test("the crossing lies between the lengths around it", () => {
  const points = [
    { tokens: 16, edge: 100, pool: 300 },
    { tokens: 32, edge: 400, pool: 200 },
  ];
  expect(crossing(points)).toBe(24);
  expect(crossing(points.slice(1))).toBe(32);
  expect(crossing(points.slice(0, 1))).toBeNull();
});

test("WebAssembly memory is what has the rest of 4 GiB reserved behind it", () => {
  const entry = (range: string, rights: string, kilobytes: number, file = "") =>
    `${range} ${rights} 00000000 00:00 0 ${file}\nSize: 1 kB\nRss:  ${kilobytes} kB\nPss: 1 kB\n`;
  const smaps = [
    entry("1000-2000", "rw-p", 7),
    entry("2000-3000", "---p", 0),
    entry("10000-20000", "rwxp", 3),
    entry("30000-40000", "r-xp", 5, "/bin/workerd"),
    entry("100000-200000", "rw-p", 11),
    entry("200000-100200000", "---p", 0),
  ].join("");
  expect(mapped(smaps)).toEqual({ heap: 11 * 1024, code: 3 * 1024 });
});
