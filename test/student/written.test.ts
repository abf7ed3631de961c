import { describe, expect, it } from "vitest";
import { Written } from "../../src/student/written.ts";

/** Tokens are letters: 1 is "a"; 0 ends. */
const LETTERS = " abcdefgh";
function write(ids: number[], { stop = [], room = 10 }: { stop?: string[]; room?: number }): Written {
  const decode = (some: readonly number[]): string => some.map((id) => LETTERS[id]).join("");
  const written = new Written({ decode, stopIds: new Set([0]), stop, room });
  for (const id of ids) if (written.end === null) written.add(id);
  return written;
}

describe("a response as its tokens come", () => {
  it("grows until something ends it", () => expect(write([1, 2, 3], {}).end).toBeNull());

  it("ends with a stop token, which counts and is no part of it", () => {
    const written = write([1, 2, 0, 3], {});
    expect(written.end).toEqual({ text: "ab", reason: "stop" });
    expect(written.ids).toEqual([1, 2, 0]);
  });

  it("ends before the first of the stop strings", () => {
    expect(write([1, 2, 3, 4], { stop: ["d", "cd", "bc"] }).end).toEqual({ text: "a", reason: "stop" });
  });

  it("ends where there is no more room; a stop string in the last token counts", () => {
    expect(write([1, 2, 3], { room: 2 }).end).toEqual({ text: "ab", reason: "length" });
    expect(write([1, 2, 3], { room: 2, stop: ["b"] }).end).toEqual({ text: "a", reason: "stop" });
    expect(write([], { room: 0 }).end).toEqual({ text: "", reason: "length" });
  });
});
