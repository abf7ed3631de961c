import { beforeAll, expect, it } from "vitest";
import { FakeWorker } from "../pool/fake-worker.ts";
import { TestProject } from "../services/project.ts";
import { ask } from "./method.ts";

let project: TestProject;
let worker: FakeWorker;
beforeAll(async () => {
  project = await TestProject.create();
  await project.model("teacher");
  worker = await FakeWorker.connect(project.pool);
});

const answered = async (pending: ReturnType<typeof ask>, tokens: number[][], texts: string[]) => {
  const { job, fence } = await worker.lease();
  const special = { bos_token: null, eos_token: "</s>", pad_token: null, chat_template: null };
  const answer = { kind: "tokenize" as const, tokens, texts, ...special };
  await worker.ask({ type: "result", job, fence, lineage: null, output: answer, artifact: null });
  return (await pending).body;
};

it("information, tokens, text", async () => {
  expect(await answered(ask(project, "GET", "/m/teacher/tokenizer_info"), [], [])).toMatchObject({
    eos_token: "</s>",
  });
  const there = ask(project, "POST", "/m/teacher/tokenize", { prompt: "The sky", add_special_tokens: false });
  expect(await answered(there, [[7, 8]], [])).toEqual({ tokens: [7, 8], count: 2 });
  const back = ask(project, "POST", "/m/teacher/detokenize", { tokens: [7, 8] });
  expect(await answered(back, [], ["The sky"])).toEqual({ prompt: "The sky" });
});
