// One score in workerd against the same graph under Node, and what a fresh workerd takes for its first one.
import type { Precision } from "../../src/wire/exports.ts";
import type { Goal } from "../goal.ts";
import { median } from "../stats.ts";
import type { Exported, Student } from "./exports.ts";
import { NodeSession } from "./node-session.ts";
import { refusalOf, stored, timeOf, using } from "./scorer.ts";
import { Texts } from "./texts.ts";

const PRECISIONS: Precision[] = ["int4", "int8"];
/** Tokens of a text, and how often it is scored on each side. */
const LENGTHS = [
  { tokens: 16, repetitions: 15 },
  { tokens: 64, repetitions: 11 },
  { tokens: 256, repetitions: 5 },
];
const COLD = { tokens: 16, processes: 3, warm: 5 };
/** `second`: of what the first score took beyond a warm one, so much may the second take: it loads nothing. */
const GOALS = { ratio: 1.1, ready: 1000, first: 1500, second: 0.25 };
const SEED = 41;

const atMost = (what: string, value: number, goal: number): Goal => ({ what, value, goal, met: value <= goal });

/** Both sides in turn, on the same tokens. */
async function warm(exported: Exported, texts: Texts): Promise<Goal[]> {
  const { precision } = exported.model;
  const node = await NodeSession.of(exported);
  const goals: Goal[] = [];
  await stored(exported, (start, artifact) =>
    using(start, async (scorer) => {
      for (const { tokens, repetitions } of LENGTHS) {
        const text = texts.next(tokens);
        const [prompt, response] = [texts.tokenizer.encode(text.prompt), texts.tokenizer.encode(text.response)];
        const times = { workerd: [] as number[], node: [] as number[] };
        // The first of each side is not counted: it loads the model, or its code is not yet optimised.
        for (let n = 0; n <= repetitions; n++) {
          const workerd = await timeOf(scorer, artifact, text);
          const under = await node.timeOf(prompt, response);
          if (n === 0) continue;
          times.workerd.push(workerd);
          times.node.push(under);
        }
        const [ours, theirs] = [median(times.workerd), median(times.node)];
        console.log(
          `${precision}, ${tokens} tokens: ${ours.toFixed(0)} ms in workerd, ${theirs.toFixed(0)} ms under Node (p50 of ${repetitions})`,
        );
        goals.push(atMost(`${precision}, ${tokens} tokens: time in workerd against Node`, ours / theirs, GOALS.ratio));
      }
    }),
  ).finally(() => node.release());
  return goals;
}

/** The first score of fresh processes. */
async function cold(exported: Exported, texts: Texts): Promise<Goal[]> {
  const { precision } = exported.model;
  const found = await stored(exported, async (start, artifact) => {
    const processes = [];
    for (let n = 0; n < COLD.processes; n++) {
      const text = texts.next(COLD.tokens);
      processes.push(
        await using(start, async (scorer) => {
          const first = await timeOf(scorer, artifact, text);
          const second = await timeOf(scorer, artifact, text);
          const later = [];
          for (let i = 0; i < COLD.warm; i++) later.push(await timeOf(scorer, artifact, text));
          return { first, second, warm: median(later) };
        }),
      );
    }
    return processes;
  });
  const first = median(found.map((one) => one.first));
  const ready = median(found.map((one) => one.first - one.warm));
  const second = median(found.map((one) => one.second - one.warm));
  console.log(
    `${precision}, a fresh workerd: first score of ${COLD.tokens} tokens after ${first.toFixed(0)} ms, ` +
      `${ready.toFixed(0)} ms more than a warm one; the second takes ${second.toFixed(0)} ms more`,
  );
  return [
    atMost(`${precision}: session ready, ms`, ready, GOALS.ready),
    atMost(`${precision}: first score of ${COLD.tokens} tokens, ms`, first, GOALS.first),
    atMost(`${precision}: second score beyond a warm one against the first`, second / ready, GOALS.second),
  ];
}

/** Why the scorer does not admit this export, or null. */
const refused = (exported: Exported, texts: Texts): Promise<string | null> =>
  stored(exported, (start, artifact) => using(start, (scorer) => refusalOf(scorer, artifact, texts.next(16))));

export async function latency(student: Student): Promise<Goal[]> {
  const goals: Goal[] = [];
  for (const precision of PRECISIONS) {
    const exported = await student.exported(precision);
    const texts = await Texts.of(exported.folder, SEED);
    const refusal = await refused(exported, texts);
    if (refusal === null) goals.push(...(await cold(exported, texts)), ...(await warm(exported, texts)));
    else console.log(`${precision} is left out: ${refusal}`);
  }
  return goals;
}
