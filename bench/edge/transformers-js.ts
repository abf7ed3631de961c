// Generation by the exported student against transformers.js: tokens a second, and memory.
import { join } from "node:path";
import { z } from "zod";
import { Precision } from "../../src/wire/exports.ts";
import type { EdgeModel } from "../../src/wire/exports.ts";
import type { Goal } from "../goal.ts";
import { peerModules, peerPython } from "../peers.ts";
import { call } from "../program.ts";
import { median } from "../stats.ts";
import type { Exported, Student } from "./exports.ts";
import { Texts } from "./texts.ts";

/** The newest when this was written, with the onnxruntime-web that it names itself. */
const MODULES = ["@huggingface/transformers@4.3.2"];
/** What onnxruntime's tool for 4 bits needs. */
const PACKAGES = ["onnx-ir==1.1.0"];
const DTYPES: Record<Precision, string> = { fp32: "fp32", int8: "q8", int4: "q4" };
const PROMPTS = 3;
const PROMPT_TOKENS = 32;
const TOKENS = 32;
const REPETITIONS = 3;
const SEED = 53;
const MB = 1_000_000;

const Answer = z.strictObject({
  answers: z.array(z.array(z.int())),
  seconds: z.number().positive(),
  before: z.number(),
  peak: z.number(),
});
type Answer = z.infer<typeof Answer>;

const rate = (found: Answer[]): number => median(found.map(({ seconds }) => (PROMPTS * TOKENS) / seconds));
const taken = (found: Answer[]): number => median(found.map(({ before, peak }) => (peak - before) / MB));

export async function transformersJs(student: Student): Promise<Goal[]> {
  const modules = peerModules("transformers-js", MODULES);
  const folder = join(student.work, "transformers-js");
  const python = peerPython("onnx-quantization", PACKAGES);
  await call(
    { file: "edge/peer/graphs.py", interpreter: python },
    { folder: student.folder, out: folder },
    z.strictObject({}),
  );
  const texts = await Texts.of(student.folder, SEED);
  const prompts = Array.from({ length: PROMPTS }, () => texts.tokenizer.encode(texts.next(2 * PROMPT_TOKENS).prompt));
  const goals: Goal[] = [];
  for (const precision of Precision.options) {
    const exported = await student.exported(precision);
    const asked = { prompts, tokens: TOKENS };
    const node = process.execPath;
    const ours = () =>
      call(
        { file: "edge/peer/ours.ts", interpreter: node },
        { ...asked, folder: exported.folder, model: exported.model },
        Answer,
      );
    const theirs = () =>
      call(
        { file: "edge/peer/theirs.mjs", interpreter: node },
        { ...asked, folder, modules, dtype: DTYPES[precision] },
        Answer,
      );
    const found: { ours: Answer[]; theirs: Answer[] } = { ours: [], theirs: [] };
    for (let n = 0; n < REPETITIONS; n++) {
      found.ours.push(await ours());
      found.theirs.push(await theirs());
    }
    goals.push(...compared(exported, found));
  }
  return goals;
}

/** Until the token that ends an answer, which theirs is told to leave out. */
const untilEnd = (ids: readonly number[], { stop_ids: ends }: EdgeModel): number[] => {
  const end = ids.findIndex((id) => ends.includes(id));
  return ids.slice(0, end < 0 ? ids.length : end);
};

function compared({ model }: Exported, { ours, theirs }: { ours: Answer[]; theirs: Answer[] }): Goal[] {
  const { precision } = model;
  const other = theirs[0]?.answers ?? [];
  const mine = (ours[0]?.answers ?? []).map((ids) => untilEnd(ids, model));
  const same = mine.filter((ids, i) => String(ids) === String(other[i]?.slice(0, ids.length))).length;
  console.log(
    `${precision}: ${rate(ours).toFixed(1)} tokens/s in ${taken(ours).toFixed(0)} MB; transformers.js in ${DTYPES[precision]}: ` +
      `${rate(theirs).toFixed(1)} tokens/s in ${taken(theirs).toFixed(0)} MB; ${same} of ${PROMPTS} answers the same up to their end`,
  );
  const speed = rate(ours) / rate(theirs);
  const memory = taken(ours) / taken(theirs);
  return [
    { what: `${precision}: tokens/s against transformers.js`, value: speed, goal: 1, met: speed >= 1 },
    { what: `${precision}: memory against transformers.js`, value: memory, goal: 1, met: memory <= 1 },
  ];
}
