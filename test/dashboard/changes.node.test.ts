// Where two responses part.
import { expect, test } from "vitest";
import { parted } from "../../src/dashboard/records/changes.ts";

test.each([
  ["the red fox ran", "the quick brown fox ran", { start: "the ", own: "red ", end: "fox ran" }],
  ["the quick brown fox ran", "the red fox ran", { start: "the ", own: "quick brown ", end: "fox ran" }],
  ["same words", "same words", { start: "same words", own: "", end: "" }],
  ["one  two\nthree", "four", { start: "", own: "one  two\nthree", end: "" }],
  ["a a a", "a a", { start: "a ", own: "a ", end: "a" }],
  ["a a", "a a a", { start: "a ", own: "", end: "a" }],
  ["", "word", { start: "", own: "", end: "" }],
])("%j beside %j", (text, other, parts) => {
  expect(parted(text, other)).toEqual(parts);
});
