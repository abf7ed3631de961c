// What holds of every view of the playground: axe, every width, both schemes, the keyboard.
import type { BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { leave, violations } from "../dashboard/browser.ts";
import { POSSIBLE, ask, compare, enter, load, placeOf, response, startSite } from "./playground.ts";
import type { Site } from "./playground.ts";

/** A folder for pictures, to be looked at; none are made without it. */
const PICTURES = process.env.PICTURES;

describe.skipIf(!POSSIBLE)("every view of the playground", () => {
  let site: Site;
  let page: Page;
  beforeAll(async () => {
    site = await startSite();
  }, 240_000);
  afterAll(() => site.close());
  afterEach(() => leave(page));

  const opened = async (options: BrowserContextOptions, place = placeOf(site.run)): Promise<void> => {
    page = await site.browser.open(options);
    await page.goto(place);
    await enter(page, site.key);
  };

  const VIEWS: Record<string, (options: BrowserContextOptions) => Promise<void>> = {
    "the key form": async (options) => {
      page = await site.browser.open(options);
      await page.goto("/playground");
      await page.getByLabel("API key").waitFor();
    },
    "a choice": async (options) => {
      await opened(options);
      await page.getByRole("button", { name: "Load it on wasm" }).waitFor();
    },
    "no export": async (options) => {
      await opened(options, `/playground?run=${site.bare}`);
      await page.getByText("has been exported yet").waitFor();
    },
    "no run": async (options) => {
      await opened(options, "/playground?run=run_none");
      await page.getByRole("alert").waitFor();
    },
    "a comparison": async (options) => {
      await opened(options);
      await load(page);
      await ask(page);
      await response(page).fill("red, and nothing else: a word of one\nand two, three and green");
      await compare(page);
      await page.getByText("The same as a table").click();
    },
  };
  const SCREENS = [
    [1280, "light"],
    [1280, "dark"],
    [375, "light"],
    [375, "dark"],
    [3840, "light"],
    [3840, "dark"],
  ] as const;

  test.each(SCREENS.flatMap((screen) => Object.keys(VIEWS).map((name) => [name, ...screen] as const)))(
    "%s fits %i px, %s, and axe finds nothing",
    { timeout: 60_000 },
    async (name, width, colorScheme) => {
      await VIEWS[name]!({ viewport: { width, height: 900 }, colorScheme });
      if (PICTURES !== undefined) {
        const path = `${PICTURES}/${name.replaceAll(" ", "-")}-${width}-${colorScheme}.png`;
        await page.screenshot({ path, fullPage: true });
      }
      expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
      expect(await violations(page)).toEqual([]);
    },
  );

  test("the tokens are one stop of the keyboard, and arrows lead through them", { timeout: 60_000 }, async () => {
    await VIEWS["a comparison"]!({});
    const tokens = page.locator(".rewards .token");
    await tokens.first().focus();
    const said = page.locator(".rewards .pointed");
    const first = await said.innerText();
    await page.keyboard.press("ArrowRight");
    expect(await tokens.nth(1).getAttribute("aria-selected")).toBe("true");
    expect(await said.innerText()).not.toBe(first);
    expect(await said.innerText()).toMatch(/reward .*, student .*, teacher /);
    await page.keyboard.press("End");
    expect(await tokens.last().getAttribute("aria-selected")).toBe("true");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.tagName")).toBe("SUMMARY");
    await tokens.first().hover();
    expect(await said.innerText()).toBe(first);
  });
});
