// One score through the API at the edge against the same by a worker on the CPU, by length: where the worker becomes faster.
import { ApiError } from "../../src/sdk/index.ts";
import { AUTO_EDGE_WORK } from "../../src/config.ts";
import { expectedTokens } from "../../src/services/expected-tokens.ts";
import type { Compute } from "../../src/wire/scores.ts";
import { unmeasured } from "../goal.ts";
import type { Goal } from "../goal.ts";
import { median } from "../stats.ts";
import { TEACHER } from "./service.ts";
import type { Setting } from "./service.ts";
import { Texts } from "./texts.ts";
import type { Text } from "./texts.ts";

const PRECISION = "int4";
const LENGTHS = [8, 16, 32, 64, 128, 256];
const REPETITIONS = 7;
const SEED = 47;
const DATASET = "crossover";
const SLOWER = "lengths that auto sends to the slower edge";

interface Asked {
  edge: Text[];
  pool: Text[];
  auto: Text;
}

export interface Point {
  tokens: number;
  edge: number;
  pool: number;
}

/** The length from which the pool is faster, between the two measured ones that it lies between; null: not up to the last. */
export function crossing(points: readonly Point[]): number | null {
  for (const [i, point] of points.entries()) {
    const ahead = point.edge - point.pool;
    if (ahead < 0) continue;
    const before = points[i - 1];
    if (before === undefined) return point.tokens;
    const behind = before.pool - before.edge;
    return before.tokens + ((point.tokens - before.tokens) * behind) / (behind + ahead);
  }
  return null;
}

/** Of a text as the service estimates them, which must decide before it has a tokenizer. */
const estimated = ({ prompt, response }: Text): number => expectedTokens(prompt) + expectedTokens(response);

/** Has the teacher's side of every text computed, so that the student's is all that is asked. */
async function fill({ client }: Setting, texts: readonly Text[]): Promise<void> {
  const rows = texts.map(({ prompt, response }, i) => ({ id: `text-${i}`, prompt, completion: response }));
  await client.uploadDataset(DATASET, rows.map((row) => JSON.stringify(row)).join("\n"), "test");
  const ahead = { teacher: TEACHER, dataset: DATASET, split: "test", template: "raw" } as const;
  for (;;) {
    const { known, responses } = await client.teacherScores(ahead);
    if (known === responses) return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Milliseconds, and who computed. */
async function ask({ client, student }: Setting, { prompt, response }: Text, compute: Compute) {
  const began = performance.now();
  const list = await client.scores({
    teacher: TEACHER,
    student,
    prompt,
    responses: [response],
    template: "raw",
    compute,
  });
  return { time: performance.now() - began, by: list.computed_by };
}

async function measure(setting: Setting, asked: Map<number, Asked>): Promise<Point[]> {
  const points: Point[] = [];
  for (const [tokens, { edge, pool }] of asked) {
    const times = { edge: [] as number[], pool: [] as number[] };
    for (let i = 0; i <= REPETITIONS; i++) {
      for (const [side, text] of [["edge", edge[i]] as const, ["pool", pool[i]] as const]) {
        if (text === undefined) continue;
        const { time } = await ask(setting, text, side);
        // The first of each side is not counted: it may load a model.
        if (i > 0) times[side].push(time);
      }
    }
    const point = { tokens, edge: median(times.edge), pool: median(times.pool) };
    points.push(point);
    console.log(`${tokens} tokens: ${point.edge.toFixed(0)} ms at the edge, ${point.pool.toFixed(0)} ms by a worker`);
  }
  return points;
}

/** The student's parameters once the service has an export of it; null where it refuses to make one. */
async function exported({ client, run, step }: Setting): Promise<number | null> {
  try {
    return (await client.runs.export(run, step, PRECISION)).model.parameters;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    console.log(`the crossover is left out: ${error.message}`);
    return null;
  }
}

/** `checkpoint` is a folder with the student's tokenizer. */
export async function crossover(setting: Setting, checkpoint: string): Promise<Goal[]> {
  const parameters = await exported(setting);
  if (parameters === null) return [unmeasured(SLOWER, 0)];
  const texts = await Texts.of(checkpoint, SEED);
  const several = (tokens: number): Text[] => Array.from({ length: REPETITIONS + 1 }, () => texts.next(tokens));
  const asked = new Map(
    LENGTHS.map((tokens): [number, Asked] => [
      tokens,
      { edge: several(tokens), pool: several(tokens), auto: texts.next(tokens) },
    ]),
  );
  await fill(
    setting,
    [...asked.values()].flatMap(({ edge, pool, auto }) => [...edge, ...pool, auto]),
  );
  const points = await measure(setting, asked);
  const slower: number[] = [];
  for (const { tokens, edge, pool } of points) {
    const one = asked.get(tokens);
    if (one === undefined) continue;
    const { by } = await ask(setting, one.auto, "auto");
    if (by === "edge" && edge >= pool) slower.push(tokens);
    console.log(`${tokens} tokens, estimated ${estimated(one.auto)}: auto has the ${by} compute`);
  }
  const from = crossing(points);
  console.log(
    from === null
      ? `the edge is faster at every length`
      : `a worker is faster from ${from.toFixed(0)} tokens: parameters times tokens ${(parameters * from).toExponential(1)}, ` +
          `where AUTO_EDGE_WORK is ${AUTO_EDGE_WORK.toExponential(1)}`,
  );
  return [{ what: SLOWER, value: slower.length, goal: 0, met: slower.length === 0 }];
}
