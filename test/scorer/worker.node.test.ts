// The scorer in real workerd, against transformers on the same model.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EdgeAnswer, EdgeGenerated } from "../../src/scorer/api.ts";
import type { EdgeArtifact } from "../../src/wire/exports.ts";
import type { ResponseLogprobs } from "../../src/wire/payloads.ts";
import type { FileRef } from "../../src/wire/blobs.ts";
import type { Template } from "../../src/wire/common.ts";
import { exportTiny, python, startScorer, storeFile, temporary } from "./scorer.ts";
import type { ScorerHarness } from "./scorer.ts";

const { folder, remove } = temporary();
const { model, artifact: exported } = exportTiny(folder);
let harness: ScorerHarness;
let artifact: EdgeArtifact;
beforeAll(async () => {
  harness = await startScorer();
  artifact = await harness.store(exported);
});
afterAll(async () => {
  await harness.stop();
  remove();
});

function value<T>(answer: EdgeAnswer<T>): T {
  if (!answer.ok) throw new Error(`${answer.code}: ${answer.message}\n${harness.logs()}`);
  return answer.value;
}

const MAX_LENGTH = 300;
const MAX_NEW_TOKENS = 24;
const prompts = ["Say the word red", "Say the word blue, and nothing else.", "caf\u00e9 \ud83d\ude00 ".repeat(12)];
const responses = ["red", "", "blue green", "one two three ".repeat(20), "\u00e9\u0301\ud83c\udde9\ud83c\uddea"];
const templates = ["chat", "alpaca", "raw"] as const;

/** What transformers says of all that follows, asked once. */
const asked = {
  scores: templates.flatMap((template) =>
    prompts.flatMap((prompt) => responses.map((response) => ({ template, prompt, response, max_length: MAX_LENGTH }))),
  ),
  answers: prompts.map((prompt) => ({ prompt, template: "chat", max_new_tokens: MAX_NEW_TOKENS })),
};
const transformers = JSON.parse(python("scorer/model_oracle.py", [model], JSON.stringify(asked))) as {
  scores: ResponseLogprobs[];
  answers: EdgeGenerated[];
};

describe("a score", () => {
  test.for(templates)("under %s has the log-probabilities of transformers", async (template) => {
    const items = prompts.map((prompt) => ({ prompt, responses }));
    const scored = value(await harness.scorer.score({ artifact, template, maxLength: MAX_LENGTH, items }));
    const theirs = transformers.scores.filter((_, i) => asked.scores[i]!.template === template);
    expect(scored.map((one) => one.length)).toEqual(prompts.map(() => responses.length));
    for (const [i, ours] of scored.flat().entries()) {
      const { token_ids, token_texts, logprobs } = theirs[i]!;
      expect(ours).toMatchObject({ token_ids, token_texts });
      expect(ours.logprobs).toHaveLength(logprobs.length);
      const differences = logprobs.map((logprob, at) => Math.abs(logprob - ours.logprobs[at]!));
      expect(Math.max(0, ...differences)).toBeLessThan(1e-4);
    }
  });

  test("of a response alone is the same as beside others", async () => {
    const ask = (of: string[]) => ({
      artifact,
      template: "chat" as const,
      maxLength: 512,
      items: [{ prompt: "x", responses: of }],
    });
    const [together] = value(await harness.scorer.score(ask(responses)));
    const [[alone] = []] = value(await harness.scorer.score(ask([responses[3]!])));
    expect(alone!.token_ids).toEqual(together![3]!.token_ids);
    for (const [i, logprob] of alone!.logprobs.entries()) expect(logprob).toBeCloseTo(together![3]!.logprobs[i]!, 4);
  });

  test("of a prompt that leaves no room is refused", async () => {
    const ask = {
      artifact,
      template: "raw" as const,
      maxLength: 64,
      items: [{ prompt: "long ".repeat(64), responses: ["a"] }],
    };
    expect(await harness.scorer.score(ask)).toMatchObject({ ok: false, code: "prompt_too_long" });
  });

  test("of several turns wants the chat template", async () => {
    const prompt = [
      { role: "system" as const, content: "Be short." },
      { role: "user" as const, content: "Hi" },
    ];
    const ask = (template: Template) => ({ artifact, template, maxLength: 512, items: [{ prompt, responses: ["a"] }] });
    expect(await harness.scorer.score(ask("raw"))).toMatchObject({ ok: false, code: "invalid_request" });
    expect(value(await harness.scorer.score(ask("chat")))).toHaveLength(1);
  });
});

describe("an answer", () => {
  const ask = (of: string[], stop: string[]) =>
    harness.scorer.generate({ artifact, template: "chat", maxNewTokens: MAX_NEW_TOKENS, prompts: of, stop });

  test("is the one that transformers generates", async () => {
    expect(value(await ask(prompts, []))).toEqual(transformers.answers);
  });

  test("ends before a stop string", async () => {
    const [whole] = value(await ask([prompts[0]!], []));
    const mark = whole!.response.slice(4, 6);
    const [cut] = value(await ask([prompts[0]!], [mark]));
    expect(cut).toMatchObject({
      response: whole!.response.slice(0, whole!.response.indexOf(mark)),
      finish_reason: "stop",
    });
  });
});

describe("an artifact", () => {
  const items = [{ prompt: "Say the word red", responses: ["red"] }];
  const score = (of: EdgeArtifact) => harness.scorer.score({ artifact: of, template: "chat", maxLength: 512, items });
  const changed = (
    name: string,
    change: (file: EdgeArtifact["files"][number]) => EdgeArtifact["files"],
  ): EdgeArtifact => ({
    ...artifact,
    files: artifact.files.flatMap((file) => (file.name === name ? change(file) : [file])),
  });

  /** Under a digest of its own: what is loaded is known by its files' digests. */
  const withParts = (file: FileRef, part: Partial<FileRef["parts"][number]>): FileRef => ({
    ...file,
    sha256: "2".repeat(64),
    parts: file.parts.map((one) => ({ ...one, ...part })),
  });

  test("is loaded once by many at once, and beside another", async () => {
    const other = { ...artifact, files: [...artifact.files].reverse() };
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => score(i % 3 === 0 ? other : artifact)));
    const [first] = value(answers[0]!);
    for (const answer of answers) expect(value(answer)).toEqual([first]);
  });

  test("that is broken is our fault, and the next one is not harmed by it", async () => {
    const graph = await storeFile(harness.bucket, "student.onnx", new TextEncoder().encode("no graph"));
    const broken: [why: string, EdgeArtifact][] = [
      ["Failed to load external data file", changed("weights-0.bin", () => [])],
      ["protobuf", changed("student.onnx", () => [graph])],
      ["its digest is not", changed("weights-0.bin", (file) => [{ ...file, sha256: "0".repeat(64) }])],
      ["another content", changed("weights-0.bin", (file) => [withParts(file, { sha256: "1".repeat(64) })])],
      ["is gone", changed("tokenizer.json", (file) => [withParts(file, { key: "p/run/1/none" })])],
    ];
    for (const [why, one] of broken) {
      expect(await score(one)).toMatchObject({ ok: false, code: "internal" });
      expect(harness.logs()).toContain(why);
      expect(await score(artifact)).toMatchObject({ ok: true });
    }
    expect(harness.logs()).not.toContain("Say the word");
  });
});
