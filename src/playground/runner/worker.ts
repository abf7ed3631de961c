// The worker in which the student runs, so that the page never freezes. It asks the network for nothing but the runtime.
import { Student } from "../../student/student.ts";
import type { StudentFiles } from "../../student/student.ts";
import { isOrder } from "./messages.ts";
import type {
  AnswerOrder,
  Answered,
  LoadOrder,
  Loaded,
  LoadedFile,
  Report,
  Result,
  ScoreOrder,
  Scored,
  Work,
} from "./messages.ts";
import { Pieces } from "./pieces.ts";
import { browserRuntime } from "./runtime.ts";

let student: Student | null = null;
let stop = new AbortController();

const report = (message: Report): void => postMessage(message);

const seconds = (since: number): number => (performance.now() - since) / 1000;

/** Lets a message in that has come meanwhile: the runtime computes without a pause. */
const turn = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });

const filesOf = (files: readonly LoadedFile[]): StudentFiles => ({
  names: files.map(({ name }) => name),
  read: (name) => {
    const file = files.find((one) => one.name === name);
    if (file === undefined) throw new Error(`the export has no ${name}`);
    return Promise.resolve([new Uint8Array(file.bytes)]);
  },
});

/** Nats; rounding makes 1e-5 of it, a GPU that computes wrongly tenths. */
const DISAGREEMENT = 1e-3;

async function load({ model, files, provider }: LoadOrder): Promise<Loaded> {
  const runtime = await browserRuntime(provider);
  const loading = await Student.load(model, filesOf(files), () => Promise.resolve(runtime));
  if (provider === "webgpu" && !((await loading.disagreement()) <= DISAGREEMENT)) {
    throw new Error("this GPU computes another log-probability of a token that is read alone than of one among others");
  }
  student = loading;
  return { type: "loaded", threads: provider === "wasm" ? runtime.threads : null };
}

function loaded(): Student {
  if (student === null) throw new Error("no student is loaded");
  return student;
}

async function answer({ prompt, template, most }: AnswerOrder): Promise<Answered> {
  const writer = loaded();
  const ids = writer.prompt(prompt, template);
  const pieces = new Pieces((run) => writer.text(run));
  const written: number[] = [];
  const began = performance.now();
  let first = 0;
  const { signal } = (stop = new AbortController());
  const writing = writer.write(ids, { maxNewTokens: most, stop: [] });
  const answered = (response: string, reason: Answered["reason"]): Answered => {
    const rest = seconds(began) - first;
    return { type: "answered", response, reason, promptTokens: ids.length, first, rest };
  };
  for (;;) {
    const step = await writing.next();
    if (step.done === true) return answered(step.value.response, step.value.finish_reason);
    const { id, logprob } = step.value;
    if (written.length === 0) first = seconds(began);
    written.push(id);
    report({ type: "token", token: { id, text: pieces.add(id), logprob } });
    await turn();
    if (signal.aborted) return answered(writer.text(written), "stopped");
  }
}

async function score({ prompt, template, response }: ScoreOrder): Promise<Scored> {
  const scorer = loaded();
  const items = [{ prompt, responses: [response] }];
  const [group] = scorer.groups({ template, maxLength: Number.MAX_SAFE_INTEGER, items });
  const [scored] = group === undefined ? [] : await scorer.score(group);
  if (scored === undefined) throw new Error("nothing was scored");
  const pieces = new Pieces((run) => scorer.text(run));
  const { token_ids: ids, logprobs } = scored;
  return { type: "scored", tokens: ids.map((id, i) => ({ id, text: pieces.add(id), logprob: logprobs[i] ?? 0 })) };
}

function work(order: Work): Promise<Result> {
  if (order.type === "load") return load(order);
  return order.type === "answer" ? answer(order) : score(order);
}

/** The one place where every error is caught: across the worker's border it would lose its text. */
async function serve(order: Work): Promise<void> {
  try {
    report(await work(order));
  } catch (error) {
    report({ type: "refused", message: error instanceof Error ? error.message : String(error) });
  }
}

addEventListener("message", ({ data }: MessageEvent<unknown>) => {
  if (!isOrder(data)) throw new Error("the page sent what is no order");
  if (data.type === "stop") stop.abort();
  else void serve(data);
});
