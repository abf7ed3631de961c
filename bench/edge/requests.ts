// Implicit rewards a second through the API, where both models' log-probabilities are known.
import type { Goal } from "../goal.ts";
import { quantile } from "../stats.ts";
import { TEACHER } from "./service.ts";
import type { Setting } from "./service.ts";

const PROMPTS = 32;
const RESPONSES = ["in the hallway", "on the roof", "in the drawer", "nobody knows"];
/** Requests under way at a time, and keys among which they are dealt: one key may ask 100 times a second. */
const CONCURRENT = 4;
const KEYS = 8;
const GOALS = { rate: 300, p99: 50 };

const bodyOf = (student: string, n: number) => ({
  teacher: TEACHER,
  student,
  prompt: `Eric left the calendar on the roof. Where is it? (${n % PROMPTS})`,
  responses: RESPONSES,
});

/** Milliseconds of each of `count` requests, and of all of them together. */
async function load(url: string, keys: readonly string[], student: string, count: number) {
  const times: number[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    for (let n = next++; n < count; n = next++) {
      const began = performance.now();
      const response = await fetch(`${url}/v1/scores`, {
        method: "POST",
        headers: { authorization: `Bearer ${keys[n % keys.length] ?? ""}`, "content-type": "application/json" },
        body: JSON.stringify({ ...bodyOf(student, n), compute: "edge" }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`POST /v1/scores: ${response.status} ${text}`);
      times.push(performance.now() - began);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: CONCURRENT }, client));
  return { times, all: performance.now() - began };
}

/** Has every request answered by a worker once, and waits until what it found is kept. */
async function fill({ client, student }: Setting): Promise<void> {
  for (let n = 0; n < PROMPTS; n++) await client.scores(bodyOf(student, n));
  for (let n = 0; n < PROMPTS; n++) {
    while ((await client.scores(bodyOf(student, n))).computed_by !== "edge") {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

export async function requests(setting: Setting, count: number): Promise<Goal[]> {
  await fill(setting);
  const { stack, client, student } = setting;
  const made = await Promise.all(
    Array.from({ length: KEYS }, (_, i) => client.createKey({ name: `load-${i}`, role: "write" })),
  );
  const keys = made.map(({ secret }) => secret ?? "");
  await load(stack.url, keys, student, Math.ceil(count / 10));
  const { times, all } = await load(stack.url, keys, student, count);
  const rate = (1000 * count) / all;
  const p99 = quantile(times, 0.99);
  console.log(
    `known scores: ${rate.toFixed(0)} requests/s, p50 ${quantile(times, 0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
  );
  return [
    { what: "requests/s with known scores", value: rate, goal: GOALS.rate, met: rate >= GOALS.rate },
    { what: "their p99, ms", value: p99, goal: GOALS.p99, met: p99 <= GOALS.p99 },
  ];
}
