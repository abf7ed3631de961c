// A leaderboard and its records as they grow: 20 models on 500 items, then on 5,000, in the local runtime.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startStack } from "../scripts/stack/stack.ts";
import type { Stack } from "../scripts/stack/stack.ts";
import type { Goal } from "./goal.ts";
import { median, quantile } from "./stats.ts";

const MODELS = 20;
const SIZES = [500, 5000];
const P95_MS = 150;
const GROWTH = 2;
/** Comparisons are settled after the answers; a board that lacks some would be read faster. */
const SETTLE_MS = 240_000;

const name = (items: number): string => `items-${items}`;

/** Rows whose references are numbers; model m answers item i rightly for a share of the items that grows with m. */
async function fill({ client }: { client: ReturnType<Stack["client"]> }, items: number): Promise<void> {
  const row = (i: number) => ({
    id: `item-${i}`,
    split: "test",
    prompt: `What is ${i} and one?`,
    completion: `${i + 1}`,
  });
  const lines = Array.from({ length: items }, (_, i) => JSON.stringify(row(i)));
  await client.uploadDataset(name(items), lines.join("\n"));
  for (let m = 0; m < MODELS; m++) {
    const right = (i: number): boolean => (i * 7919 + m * 104_729) % 100 < 40 + m;
    const responses = Array.from({ length: items }, (_, i) => {
      return { id: `item-${i}`, response: right(i) ? `${i + 1}` : `It may be ${i + m}.` };
    });
    await client.evaluations.create({ name: `model-${m}`, dataset: name(items), responses });
    process.stdout.write(process.stdout.isTTY ? `\r${items} items: ${m + 1} of ${MODELS} models` : "");
  }
}

/** Waits until every pair that the board shows has been compared. */
async function settled(read: () => Promise<{ data: { p_vs_best: number | null; rank: number }[] }>): Promise<void> {
  const until = Date.now() + SETTLE_MS;
  for (;;) {
    const { data } = await read();
    if (data.length === MODELS && data.slice(1).every((entry) => entry.p_vs_best !== null)) return;
    if (Date.now() > until) throw new Error("the board's comparisons are not there");
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Milliseconds of `count` requests, one after the other. */
async function times(count: number, request: (i: number) => Promise<unknown>): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    await request(i);
    found.push(performance.now() - began);
  }
  return found;
}

async function measure(stack: Stack, items: number, count: number): Promise<Record<string, number[]>> {
  const client = stack.client();
  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(`${stack.url}${path}`, { headers: { authorization: `Bearer ${stack.keys.admin}` } });
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  const board = { dataset: name(items), split: "test", template: "given" as const };
  await settled(() => client.evaluations.leaderboard(board));
  const { data } = await client.evaluations.leaderboard(board);
  const records = `/v1/evaluations/${data[0]?.evaluation ?? ""}/records`;
  const spread = (i: number): string => `item-${Math.floor((i * items) / count)}:0`;
  return {
    "the leaderboard": await times(count, () => client.evaluations.leaderboard(board)),
    "a page of records": await times(count, (i) => get(`${records}?limit=100&after=${spread(i)}`)),
    "a page of the wrong ones": await times(count, () => get(`${records}?limit=100&outcome=wrong`)),
    "a page by text": await times(count, (i) => get(`${records}?limit=100&q=item ${i}`)),
    boards: await times(count, () => get("/v1/boards")),
  };
}

export async function records(args: string[]): Promise<Goal[]> {
  const { values } = parseArgs({ args, options: { count: { type: "string", default: "100" } } });
  const folder = mkdtempSync(join(tmpdir(), "understudy-bench-"));
  const stack = await startStack({ folder, port: 0, workers: 0, models: {} });
  const found: Record<string, number[]>[] = [];
  try {
    for (const items of SIZES) {
      await fill({ client: stack.client() }, items);
      found.push(await measure(stack, items, Number(values.count)));
    }
  } finally {
    await stack.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  return report(found);
}

function report(found: Record<string, number[]>[]): Goal[] {
  const p95 = (size: number, what: string): number => quantile(found[size]?.[what] ?? [], 0.95);
  console.log(
    `\n${"ms".padEnd(26)} ${SIZES.map((items) => `${items * MODELS} records, median, p95`.padStart(32)).join("")}`,
  );
  for (const what of Object.keys(found[0] ?? {})) {
    const figures = found.map(
      (one) => `${median(one[what] ?? []).toFixed(1)}, ${quantile(one[what] ?? [], 0.95).toFixed(1)}`,
    );
    console.log(`${what.padEnd(26)} ${figures.map((figure) => figure.padStart(32)).join("")}`);
  }
  const large = p95(1, "the leaderboard");
  const growth = median(found[1]?.["the leaderboard"] ?? []) / median(found[0]?.["the leaderboard"] ?? []);
  return [
    { what: "leaderboard p95 over 100,000 records, ms", value: large, goal: P95_MS, met: large <= P95_MS },
    { what: "leaderboard, 100,000 records against 10,000", value: growth, goal: GROWTH, met: growth <= GROWTH },
  ];
}
