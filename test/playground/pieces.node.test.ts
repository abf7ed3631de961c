// The text of tokens as they come, and what is seen of it.
import { expect, test } from "vitest";
import { stepOf } from "../../src/playground/compare/scale.ts";
import { Pieces } from "../../src/playground/runner/pieces.ts";
import { visible } from "../../src/playground/visible.ts";

test("a character of several tokens is the text of the last of them", () => {
  const bytes = [...new TextEncoder().encode("a\u00e9\ud83d\ude00b")];
  const pieces = new Pieces((ids) => new TextDecoder().decode(Uint8Array.from(ids)));
  expect(bytes.map((byte) => pieces.add(byte))).toEqual(["a", "", "\u00e9", "", "", "", "\ud83d\ude00", "b"]);
});

test("white space and control characters are seen, spaces between words as they are", () => {
  const seen = [" red", "a b", "\n\t", "\u0007", "\u007f", "", "  "].map(visible);
  expect(seen).toEqual(["␣red", "a b", "↵␉", "␇", "◦", "◦", "␣␣"]);
});

test("a step of the scale is deeper the more the two differ, and its sign says who finds a token likelier", () => {
  const differences = [-5, -2, -1.5, -0.6, -0.2, -0.05, 0, 0.1, 0.5, 1, 3];
  const steps = differences.map((student) => stepOf({ student, teacher: 0 }));
  expect(steps).toEqual([-4, -4, -3, -2, -1, 0, 0, 1, 2, 3, 4]);
});
