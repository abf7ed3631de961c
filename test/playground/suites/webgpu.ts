// The same student on WebGPU, where this machine's browser has an adapter: Chromium's own in software will do.
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TestContext } from "vitest";
import { leave, startBrowser } from "../../dashboard/browser.ts";
import type { Opened } from "../../dashboard/browser.ts";
import { ask, compare, enter, load, placeOf, pooled, ready, response, rows, toggleTable } from "../playground.ts";
import type { Site } from "../playground.ts";

const SOFTWARE = [
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
  "--use-vulkan=swiftshader",
];
/** Read in several pieces. */
const LONG = "red blue green one two three four ".repeat(12).trim();
const ADAPTER = "'gpu' in navigator && navigator.gpu.requestAdapter().then((adapter) => adapter !== null)";

export function webgpu(use: () => Site): void {
  let site: Site;
  let browser: Opened;
  let page: Page;
  beforeAll(async () => {
    site = use();
    browser = await startBrowser(site.harness.stack.url, SOFTWARE);
  });
  afterAll(() => browser.close());

  /** Opens the playground; skips the test where the browser has no adapter. */
  const opened = async (skip: TestContext["skip"]): Promise<void> => {
    page = await browser.open();
    await page.goto(placeOf(site.run));
    skip(!(await page.evaluate<boolean>(ADAPTER)), "this machine's Chromium offers no WebGPU adapter");
    await enter(page, site.key);
  };

  test("is offered behind wasm where it is software", async ({ skip }) => {
    await opened(skip);
    await page.getByText("This browser's WebGPU is software").waitFor();
    const buttons = page.getByRole("button", { name: "Load it on" });
    await expect.poll(() => buttons.allInnerTexts()).toEqual(["Load it on wasm", "Load it on WebGPU"]);
    await leave(page);
  });

  test("answers, and scores as the pool does", async ({ skip }) => {
    await opened(skip);
    await load(page, "WebGPU");
    await expect.poll(() => ready(page).innerText()).toContain("Ready on WebGPU");
    await ask(page);
    await response(page).fill(LONG);
    await compare(page);
    const [theirs] = (await pooled(site, await response(page).inputValue())).data;
    await toggleTable(page);
    const ids = theirs!.tokens!.map(({ id }) => id);
    expect(ids.length).toBeGreaterThan(100);
    await expect.poll(async () => (await rows(page)).map(({ id }) => id)).toEqual(ids);
    const found = await rows(page);
    const differences = theirs!.tokens!.map((token, i) => Math.abs(found[i]!.student - token.student_logprob));
    // The table has four decimals.
    expect(Math.max(...differences)).toBeLessThan(1.5e-4);
    await leave(page);
  });

  test("falls back to wasm where it does not start, and says why", async ({ skip }) => {
    await opened(skip);
    await page.route(/jspi\.wasm$/, (route) => route.abort());
    await page.getByRole("button", { name: "Load it on WebGPU" }).click();
    await expect.poll(() => ready(page).innerText()).toMatch(/Ready on wasm .* WebGPU failed: /s);
    await ask(page);
    // That the runtime complains is what was wanted.
    await page.context().close();
  });
}
