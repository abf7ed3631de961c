// Small parts, by table.
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { digest, newId, resourceId, twinId } from "../../src/services/identity.ts";
import { lines } from "../../src/services/lines.ts";
import { page } from "../../src/services/list.ts";
import { assertSameTokenizer, pruneLayers } from "../../src/services/models.ts";
import type { ResolvedModel } from "../../src/services/models.ts";
import { describe as describeProblem } from "../../src/services/problems.ts";
import { Prompt } from "../../src/wire/common.ts";
import { TakeSteps } from "../../src/wire/runs.ts";
import { facts, hash } from "./project.ts";

describe("identity", () => {
  it("makes ids of 24 base-62 digits", () => {
    const ids = Array.from({ length: 100 }, () => newId("job"));
    expect(ids.every((id) => /^job_[0-9A-Za-z]{24}$/.test(id))).toBe(true);
    expect(new Set(ids).size).toBe(100);
    expect(twinId("key", "proj_abc")).toBe("key_abc");
  });

  it("derives an id from project, route and Idempotency-Key, and from nothing else", async () => {
    const ask = (secret: string, project: string, key: string | null, route: string) =>
      resourceId({ env: { ID_SECRET: secret }, project: { id: project }, idempotencyKey: key }, "job", route);
    const id = await ask("s", "p", "k", "r");
    expect(await ask("s", "p", "k", "r")).toBe(id);
    const others = await Promise.all([
      ask("t", "p", "k", "r"),
      ask("s", "q", "k", "r"),
      ask("s", "p", "l", "r"),
      ask("s", "p", "k", "x"),
      ask("s", "p", null, "r"),
      ask("s", "p", null, "r"),
    ]);
    expect(new Set([id, ...others]).size).toBe(7);
  });

  it("digests values, whatever the order of their members", async () => {
    expect(await digest({ a: 1, b: { c: [1, 2], d: null } })).toBe(await digest({ b: { d: null, c: [1, 2] }, a: 1 }));
    expect(await digest({ a: [1, 2] })).not.toBe(await digest({ a: [2, 1] }));
    expect(await digest({ a: undefined })).toBe(await digest({}));
    // sha256sum of `{"a":"x","b":1}`
    expect(await digest({ b: 1, a: "x" })).toBe("cdab067e9f3beb32d1252cfd63e492592fecbf591b0d08cadb24bb17f3864246");
  });
});

describe("lines", () => {
  async function split(...chunks: (string | Uint8Array)[]): Promise<string[]> {
    async function* source() {
      for (const chunk of chunks) yield typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
    }
    const found: string[] = [];
    for await (const line of lines(source())) found.push(`${line.number}:${line.text}`);
    return found;
  }
  const euro = new TextEncoder().encode("€\n");
  it.each([
    [["a\nb\n"], ["1:a", "2:b"]],
    [["a\nb"], ["1:a", "2:b"]],
    [
      ["a", "b\n\n", "c"],
      ["1:ab", "2:", "3:c"],
    ],
    [[euro.subarray(0, 1), euro.subarray(1, 2), euro.subarray(2)], ["1:€"]],
    [["\ufeffa\n"], ["1:a"]],
    [[], []],
  ])("%j", async (chunks, expected) => {
    expect(await split(...chunks)).toEqual(expected);
  });
});

describe("pages", () => {
  it("tell by one row too many that there are more", () => {
    const rows = [{ id: "a" }, { id: "b" }, { id: "c" }];
    expect(page(rows, 2)).toEqual({
      object: "list",
      data: rows.slice(0, 2),
      has_more: true,
      first_id: "a",
      last_id: "b",
    });
    expect(page(rows, 3).has_more).toBe(false);
    expect(page([], 3)).toEqual({ object: "list", data: [], has_more: false, first_id: null, last_id: null });
  });
});

describe("pruning", () => {
  it.each([
    [5, null, 5, [0, 1, 2, 3, 4]],
    [5, null, 3, [0, 2, 4]],
    // floor(i * 3 / 2 + 0.5): 1.5 rounds up
    [4, null, 3, [0, 2, 3]],
    [30, null, 2, [0, 29]],
    [30, null, 1, [0]],
    [3, [0, 4, 9], 2, [0, 9]],
  ])("of %i layers (%j) keeps %i: %j", (layers, layer_indices, keep, expected) => {
    expect(pruneLayers(facts({ layers, layer_indices }), keep, "keep")).toEqual(expected);
  });

  it("cannot keep more than there are", () => {
    expect(() => pruneLayers(facts({ layers: 4 }), 5, "student.prune.keep_layers")).toThrow(/4 layers/);
  });
});

describe("tokenizers", () => {
  const model = (name: string, changes = {}): ResolvedModel => ({
    id: `model_${name}`,
    name,
    ref: { model: `model_${name}`, base: { type: "local", name }, layer_indices: null, weights_digest: null },
    facts: facts(changes),
  });
  it.each([
    [{ tokenizer_digest: hash("x"), vocab_size: 7 }, /different tokenizers \(vocabularies of 49152 and 7\)/],
    [{ template_digest: hash("x") }, /different chat templates/],
    [{ tokenizer_digest: hash("x"), template_digest: hash("x") }, /different tokenizers and chat templates/],
  ])("that differ in %j are refused", (changes, message) => {
    expect(() => assertSameTokenizer(model("a"), model("b", changes))).toThrow(message);
  });
  it("that are the same are not", () => {
    expect(() => assertSameTokenizer(model("a"), model("b", { weights_digest: hash("x"), layers: 2 }))).not.toThrow();
  });
});

describe("a refusal names the field", () => {
  const Body = z.strictObject({
    name: z.string(),
    turns: z.array(z.strictObject({ text: z.string() })),
    prompt: Prompt,
  });
  const good = { name: "a", turns: [{ text: "b" }], prompt: "c" };
  it.each([
    [Body, { ...good, name: undefined }, "name", "name is required: string."],
    [Body, { ...good, colour: 1 }, "colour", "unknown field colour; remove it."],
    [Body, { ...good, turns: [{ text: "b", x: 1 }] }, "turns[0].x", "unknown field turns[0].x; remove it."],
    [Body, { ...good, turns: [{ text: "b" }, { text: 1 }] }, "turns[1].text", /turns\[1\]\.text: .*expected string/],
    [Body, { ...good, prompt: [{ role: "user", content: 1 }] }, "prompt[0].content", /expected string/],
    [TakeSteps, { count: 0 }, "count", /count: .*>=1/],
    [TakeSteps, { to: 5, more: 1 }, "more", /unknown field more/],
    [TakeSteps, "x", "", /the body: /],
  ])("%#", (schema, value, param, message) => {
    const { error } = schema.safeParse(value);
    const problem = describeProblem(error!);
    expect(problem.param).toBe(param);
    if (typeof message === "string") expect(problem.message).toBe(message);
    else expect(problem.message).toMatch(message);
  });
});
