// Log-likelihoods through the API against lm-eval's own back end: the same weights, items, batch and threads.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { inRoot } from "../scripts/paths.ts";
import { embeddedTeacher, startStack } from "../scripts/stack/stack.ts";
import type { Goal } from "./goal.ts";
import { peerPython } from "./peers.ts";
import { call } from "./program.ts";
import { CHOICES, LM_EVAL, THREADS, readItems } from "./score/items.ts";
import { median } from "./stats.ts";

const TEACHER = "smollm2-135m-instruct";
const BATCH = 32;
/** Requests that the client has under way: as many as a worker's row has room for. */
const CONCURRENT = 4;

const GOALS = { speed: 2, difference: 1e-3 };

const Answer = z.strictObject({
  seconds: z.number().positive(),
  values: z.array(z.tuple([z.number(), z.boolean()])),
});
type Answer = z.infer<typeof Answer>;

/** Share of the items whose first choice is the likeliest. */
function accuracy({ values }: Answer): number {
  const items = Array.from({ length: values.length / CHOICES }, (_, i) => values.slice(i * CHOICES, (i + 1) * CHOICES));
  const right = items.filter((item) => item.every(([value]) => value <= (item[0]?.[0] ?? -Infinity)));
  return right.length / items.length;
}

export async function score(args: string[]): Promise<Goal[]> {
  const { values } = parseArgs({
    args,
    options: {
      data: { type: "string", default: inRoot("..", "shared", "data", "sciq.jsonl") },
      count: { type: "string", default: "64" },
      repetitions: { type: "string", default: "3" },
    },
  });
  const python = peerPython("lm-eval", LM_EVAL);
  const items = readItems(values.data, Number(values.count));
  const root = mkdtempSync(join(tmpdir(), "understudy-bench-"));
  const folder = join(root, "teacher");
  const models = embeddedTeacher();
  await call({ file: "score/convert.py" }, { gguf: models[TEACHER], folder }, z.strictObject({}));
  const stack = await startStack({ folder: join(root, "state"), port: 0, workers: 1, models: { teacher: folder } });
  const program = { file: "score/loglikelihood.py", interpreter: python };
  const request = { folder, items, batch: BATCH, threads: THREADS };
  const api = { backend: "api", url: stack.url, key: stack.keys.admin, concurrent: CONCURRENT };
  const found: { hf: Answer[]; api: Answer[] } = { hf: [], api: [] };
  try {
    const client = stack.client();
    await client.createModel({ name: "teacher", source: { type: "local", name: "teacher" } });
    await client.modelReady("teacher");
    for (let n = 1; n <= Number(values.repetitions); n++) {
      for (const backend of n % 2 === 0 ? (["api", "hf"] as const) : (["hf", "api"] as const)) {
        const side = backend === "api" ? api : { backend };
        const answer = await call(program, { ...request, ...side }, Answer);
        found[backend].push(answer);
        const rate = answer.values.length / answer.seconds;
        console.log(`${backend.padEnd(4)} ${answer.seconds.toFixed(1)} s, ${rate.toFixed(1)} requests/s`);
      }
    }
  } finally {
    await stack.stop();
    rmSync(root, { recursive: true, force: true });
  }
  return report(found);
}

function report({ hf, api }: { hf: Answer[]; api: Answer[] }): Goal[] {
  const [theirs] = hf;
  const [ours] = api;
  if (theirs === undefined || ours === undefined) throw new Error("nothing was measured");
  const speed = median(hf.map(({ seconds }) => seconds)) / median(api.map(({ seconds }) => seconds));
  const difference = Math.max(...ours.values.map(([value], i) => Math.abs(value - (theirs.values[i]?.[0] ?? NaN))));
  const greedy = ours.values.filter(([, is], i) => is !== theirs.values[i]?.[1]).length;
  const apart = Math.abs(accuracy(ours) - accuracy(theirs));
  console.log(
    `\n${ours.values.length} choices, accuracy ${accuracy(ours).toFixed(3)} and ${accuracy(theirs).toFixed(3)}; ` +
      `largest difference ${difference.toExponential(1)} nats; ${greedy} differ in is_greedy\n`,
  );
  return [
    {
      what: "log-likelihoods a second against lm-eval's hf",
      value: speed,
      goal: GOALS.speed,
      met: speed >= GOALS.speed,
    },
    { what: "nats apart", value: difference, goal: GOALS.difference, met: difference <= GOALS.difference },
    { what: "accuracy apart", value: apart, goal: 0, met: apart === 0 },
    { what: "is_greedy apart", value: greedy, goal: 0, met: greedy === 0 },
  ];
}
