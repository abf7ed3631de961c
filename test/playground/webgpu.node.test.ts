// The same student on WebGPU, where this machine's browser has an adapter: Chromium's own in software will do.
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { leave } from "../dashboard/browser.ts";
import {
  POSSIBLE,
  ask,
  compare,
  enter,
  load,
  placeOf,
  pooled,
  ready,
  response,
  rows,
  startSite,
} from "./playground.ts";
import type { Site } from "./playground.ts";

const SOFTWARE = [
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
  "--use-vulkan=swiftshader",
];
/** Read in several pieces. */
const LONG = "red blue green one two three four ".repeat(12).trim();
const ADAPTER = "'gpu' in navigator && navigator.gpu.requestAdapter().then((adapter) => adapter !== null)";

describe.skipIf(!POSSIBLE)("the playground on WebGPU", () => {
  let site: Site;
  let page: Page;
  beforeAll(async () => {
    site = await startSite(SOFTWARE);
  }, 240_000);
  afterAll(() => site.close());

  /** False, with the reason printed, where there is no adapter. */
  const offered = async (): Promise<boolean> => {
    page = await site.browser.open();
    await page.goto(placeOf(site.run));
    const found = await page.evaluate<boolean>(ADAPTER);
    if (!found) console.warn("skipped: this machine's Chromium offers no WebGPU adapter");
    return found;
  };

  test("is offered behind wasm where it is software", async ({ skip }) => {
    skip(!(await offered()));
    await enter(page, site.key);
    await page.getByText("This browser's WebGPU is software").waitFor();
    const buttons = page.getByRole("button", { name: "Load it on" });
    expect(await buttons.allInnerTexts()).toEqual(["Load it on wasm", "Load it on WebGPU"]);
    await leave(page);
  });

  test("answers, and scores as the pool does", { timeout: 120_000 }, async ({ skip }) => {
    skip(!(await offered()));
    await enter(page, site.key);
    await load(page, "WebGPU");
    expect(await ready(page).innerText()).toContain("Ready on WebGPU");
    await ask(page);
    await response(page).fill(LONG);
    await compare(page);
    const [theirs] = (await pooled(site, await response(page).inputValue())).data;
    const found = await rows(page);
    expect(found.length).toBeGreaterThan(100);
    expect(found.map(({ id }) => id)).toEqual(theirs!.tokens!.map(({ id }) => id));
    const differences = theirs!.tokens!.map((token, i) => Math.abs(found[i]!.student - token.student_logprob));
    // The table has four decimals.
    expect(Math.max(...differences)).toBeLessThan(1.5e-4);
    await leave(page);
  });

  test("falls back to wasm where it does not start, and says why", { timeout: 120_000 }, async ({ skip }) => {
    skip(!(await offered()));
    await enter(page, site.key);
    await page.route(/jspi\.wasm$/, (route) => route.abort());
    await page.getByRole("button", { name: "Load it on WebGPU" }).click();
    await ready(page).waitFor({ timeout: 60_000 });
    expect(await ready(page).innerText()).toMatch(/Ready on wasm .* WebGPU failed: /s);
    await ask(page);
    // That the runtime complains is what was wanted.
    await page.context().close();
  });
});
