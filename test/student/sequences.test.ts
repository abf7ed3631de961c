import { describe, expect, it } from "vitest";
import { encodePrompt, encodeResponse, join, render } from "../../src/student/sequences.ts";
import type { Tokens } from "../../src/student/sequences.ts";

/** A token for each character. */
const tokens: Tokens = {
  encode: (text) => Array.from(text, (c) => c.charCodeAt(0)),
  chat: (turns) => turns.map(({ role, content }) => `${role}:${content};`).join(""),
};

describe("from texts to tokens", () => {
  it("a plain prompt is one user turn, or the text itself", () => {
    expect(render(tokens, "hi", "chat")).toBe("user:hi;");
    expect(render(tokens, "hi", "raw")).toBe("hi");
    expect(render(tokens, [{ role: "user", content: "hi" }], "alpaca")).toMatch(
      /### Instruction:\nhi\n\n### Response:\n$/,
    );
  });

  it("several turns want the chat template", () => {
    const turns = [
      { role: "system" as const, content: "a" },
      { role: "user" as const, content: "b" },
    ];
    expect(render(tokens, turns, "chat")).toBe("system:a;user:b;");
    expect(() => render(tokens, turns, "raw")).toThrow("one user turn");
  });

  it("a response has an end token, but under raw", () => {
    expect(encodeResponse(tokens, "A", "chat", 2)).toEqual([65, 2]);
    expect(encodeResponse(tokens, "A", "raw", 2)).toEqual([65]);
    expect(() => encodeResponse(tokens, "A", "chat", null)).toThrow("use the template raw");
  });

  it("what is too long loses the response's end, and its end token first", () => {
    expect(join([1, 2], [3, 4, 5], 5)).toEqual({ prompt: [1, 2], response: [3, 4, 5] });
    expect(join([1, 2], [3, 4, 5], 4)).toEqual({ prompt: [1, 2], response: [3, 4] });
    expect(() => encodePrompt(tokens, "abc", "raw", 3)).toThrow("the prompt has 3 tokens");
    expect(encodePrompt(tokens, "abc", "raw", 4)).toHaveLength(3);
    expect(() => encodePrompt(tokens, "", "raw", 4)).toThrow("no tokens");
  });
});
