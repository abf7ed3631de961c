// The page in a real Chromium: all of its suites read one stack, and change nothing in it.
import { afterAll, beforeAll, describe } from "vitest";
import { inBrowser } from "./browser.ts";
import { startSite } from "./site.ts";
import type { Site } from "./site.ts";
import { board } from "./suites/board.ts";
import { preferences } from "./suites/preferences.ts";
import { records } from "./suites/records.ts";
import { views } from "./suites/views.ts";

describe("the page", inBrowser, () => {
  let site: Site;
  beforeAll(async () => {
    site = await startSite();
  });
  afterAll(() => site.close());

  describe("the leaderboard", () => board(() => site));
  describe("every view", () => views(() => site));
  describe("preferences", () => preferences(() => site));
  describe("the records of an evaluation", () => records(() => site));
});
