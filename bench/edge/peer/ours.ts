// Greedy tokens by the scorer's own session, in onnxruntime-web under Node on one thread.
//
// Standard input: {"folder", "model", "prompts", "tokens"}; standard output: {"answers", "seconds", "before", "peak"}: token
// ids, and resident bytes before the model is loaded and at the most.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import * as ort from "onnxruntime-web/wasm";
import { z } from "zod";
import { onWasm } from "../../../src/student/runtime.ts";
import { Session } from "../../../src/student/session.ts";
import { EdgeModel } from "../../../src/wire/exports.ts";

const Request = z.strictObject({
  folder: z.string(),
  model: EdgeModel,
  prompts: z.array(z.array(z.int())),
  tokens: z.int(),
});

async function answer(session: Session, prompt: number[], tokens: number): Promise<number[]> {
  const ids: number[] = [];
  let next = prompt;
  let past = null;
  while (ids.length < tokens) {
    const read = await session.read(next, past, [{ row: next.length - 1, target: 0 }]);
    next = read.likeliest.map(({ id }) => id);
    ids.push(...next);
    past = read.kept;
  }
  return ids;
}

const { folder, model, prompts, tokens } = Request.parse(JSON.parse(readFileSync(0, "utf8")));
ort.env.wasm.numThreads = 1;
const before = process.memoryUsage().rss;
const read = (name: string) => new Uint8Array(readFileSync(join(folder, name)));
const weights = readdirSync(folder).filter((name) => name.startsWith("weights-"));
const files = weights.map((name) => ({ name, pieces: [read(name)] }));
const session = await Session.of(onWasm(ort), model, read("student.onnx"), files);
await answer(session, prompts[0] ?? [], tokens);
const began = performance.now();
const answers: number[][] = [];
for (const prompt of prompts) answers.push(await answer(session, prompt, tokens));
const seconds = (performance.now() - began) / 1000;
const peak = process.resourceUsage().maxRSS * 1024;
process.stdout.write(JSON.stringify({ answers, seconds, before, peak }));
