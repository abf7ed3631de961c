// Greedy tokens by transformers.js, on its own onnxruntime-web under Node on one thread.
//
// Standard input: {"modules", "folder", "dtype", "prompts", "tokens"}; standard output as ours.ts's. `modules` is where it
// is installed.
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const { modules, folder, dtype, prompts, tokens } = JSON.parse(readFileSync(0, "utf8"));
const load = (...path) => import(pathToFileURL(join(modules, "node_modules", ...path)).href);

const ort = await load("onnxruntime-web", "dist", "ort.wasm.bundle.min.mjs");
ort.env.wasm.numThreads = 1;
// Under Node it would take native code; this is how it is told of another runtime. That one reads no paths.
const create = (path, options) => ort.InferenceSession.create(new Uint8Array(readFileSync(path)), options);
globalThis[Symbol.for("onnxruntime")] = { ...ort, InferenceSession: { create } };
const { AutoModelForCausalLM, Tensor, env } = await load(
  "@huggingface",
  "transformers",
  "dist",
  "transformers.node.mjs",
);
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);
// It has set the address of a CDN, which Node does not import from.
ort.env.wasm.wasmPaths = undefined;

async function answer(model, prompt) {
  const tensor = (values) => new Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
  const output = await model.generate({
    inputs: tensor(prompt),
    attention_mask: tensor(prompt.map(() => 1)),
    max_new_tokens: tokens,
    min_new_tokens: tokens,
    do_sample: false,
  });
  return [...output.data].slice(prompt.length).map(Number);
}

const before = process.memoryUsage().rss;
const model = await AutoModelForCausalLM.from_pretrained(basename(folder), {
  dtype,
  local_files_only: true,
  // What the other runtime has: WebAssembly alone.
  device: "auto",
});
await answer(model, prompts[0]);
const began = performance.now();
const answers = [];
for (const prompt of prompts) answers.push(await answer(model, prompt));
const seconds = (performance.now() - began) / 1000;
const peak = process.resourceUsage().maxRSS * 1024;
process.stdout.write(JSON.stringify({ answers, seconds, before, peak }));
