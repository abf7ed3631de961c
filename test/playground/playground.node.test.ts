// The playground in a real Chromium: all of its suites run the student of one stack, which takes long to make.
import { afterAll, beforeAll, describe } from "vitest";
import { inBrowser } from "../dashboard/browser.ts";
import { startSite } from "./playground.ts";
import type { Site } from "./playground.ts";
import { student } from "./suites/student.ts";
import { views } from "./suites/views.ts";
import { webgpu } from "./suites/webgpu.ts";

describe("the playground", inBrowser, () => {
  let site: Site;
  beforeAll(async () => {
    site = await startSite();
  });
  afterAll(() => site.close());

  describe("a student", () => student(() => site));
  describe("every view", () => views(() => site));
  describe("on WebGPU", () => webgpu(() => site));
});
