import { describe, expect, it } from "vitest";
import { EDGE_MEMORY_BYTES } from "../../src/config.ts";
import type { EdgeArtifact } from "../../src/wire/exports.ts";
import { checkCompute, checkMemory, memoryOf } from "../../src/scorer/budget.ts";

const digest = "0".repeat(64);
const file = (name: string, bytes: number) => ({ name, bytes, sha256: digest, parts: [] });

/** Ten layers of SmolLM2: 64 M parameters, of which `weights` bytes are stored. */
const student = (weights: number): EdgeArtifact => ({
  model: {
    precision: "int4",
    architecture: "LlamaForCausalLM",
    parameters: 63_700_000,
    layers: 10,
    hidden_size: 576,
    key_value_heads: 3,
    head_dim: 64,
    vocab_size: 49_152,
    context_length: 2048,
    likeliest: 20,
    end_id: 2,
    stop_ids: [2],
    weights_digest: digest,
    tokenizer_digest: digest,
    template_digest: digest,
  },
  files: [file("student.onnx", 100_000), file("weights-0.bin", weights), file("tokenizer.json", 3_522_871)],
});

const refusal = (check: () => void): unknown => {
  try {
    check();
  } catch (error) {
    return error;
  }
  return null;
};

describe("memory", () => {
  it("is the weights, what reading a piece takes, and keys and values by the token", () => {
    const [short, long] = [memoryOf(student(58_300_000), 64), memoryOf(student(58_300_000), 65)];
    // 2 * 10 layers * 3 heads * 64 * 4 bytes, four times; and scores of 9 heads for 64 tokens, twice.
    expect(long.total - short.total).toBe(4 * 15_360 + 2 * 4 * 64 * 9);
    expect(memoryOf(student(58_300_000 + 1000), 64).total - short.total).toBe(1000);
    expect(short.heap).toBeLessThan(short.total);
  });

  it("is of more logits at once in fp32, and of no matrix unpacked", () => {
    const { model, files } = student(58_300_000);
    const plain = memoryOf({ model: { ...model, precision: "fp32" }, files }, 64);
    const logits = 64 * 3 * (16_384 - 2048);
    expect(plain.total - memoryOf({ model, files }, 64).total).toBe(2 * 4 * (logits - 2048 * 576));
  });

  it("admits ten layers in int4 with a short text, and no more than the isolate has", () => {
    expect(refusal(() => checkMemory(student(58_300_000), 256))).toBeNull();
    expect(memoryOf(student(58_300_000), 256).total).toBeLessThan(EDGE_MEMORY_BYTES);
    const refused = { code: "too_large", message: expect.stringMatching(/2048 tokens take \d+ MB .* 128 MB .*"pool"/) };
    expect(refusal(() => checkMemory(student(58_300_000), 2048))).toMatchObject(refused);
    expect(refusal(() => checkMemory(student(255_376_640), 64))).toMatchObject({ code: "too_large" });
  });
});

describe("compute", () => {
  it("is tokens times parameters, a few tokens at once as dear as many", () => {
    const { model } = student(0);
    expect(refusal(() => checkCompute(model, [500]))).toBeNull();
    expect(refusal(() => checkCompute(model, [900]))).toMatchObject({
      code: "too_large",
      message: expect.stringMatching(/reading 904 tokens; .* may read 816 a call/),
    });
    const oneByOne = (tokens: number) => Array.from({ length: tokens }, () => 1);
    expect(refusal(() => checkCompute(model, [64, ...oneByOne(94)]))).toBeNull();
    expect(refusal(() => checkCompute(model, [64, ...oneByOne(95)]))).toMatchObject({ code: "too_large" });
  });
});
