// What holds of every view of the playground: axe, every width, both schemes, the keyboard.
import type { Locator, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { leave, overflow, resize, settled, violations } from "../../dashboard/browser.ts";
import { ask, compare, enter, load, placeOf, response, toggleTable } from "../playground.ts";
import type { Site } from "../playground.ts";

/** A folder for pictures, to be looked at; none are made without it. */
const PICTURES = process.env.PICTURES;

const SCREENS = [
  [1280, "light"],
  [1280, "dark"],
  [375, "light"],
  [375, "dark"],
  [3840, "light"],
  [3840, "dark"],
] as const;

type Open = () => Promise<Page>;

/** Opens each view, by its name. */
function viewsOf(site: () => Site): Record<string, Open> {
  const at = async (place = placeOf(site().run)): Promise<Page> => {
    const page = await site().browser.open();
    await page.goto(place);
    await enter(page, site().key);
    return page;
  };
  return {
    "the key form": async () => {
      const page = await site().browser.open();
      await page.goto("/playground");
      await page.getByLabel("API key").waitFor();
      return page;
    },
    "a choice": async () => {
      const page = await at();
      await page.getByRole("button", { name: "Load it on wasm" }).waitFor();
      return page;
    },
    "no export": async () => {
      const page = await at(`/playground?run=${site().bare}`);
      await page.getByText("has been exported yet").waitFor();
      return page;
    },
    "no run": async () => {
      const page = await at("/playground?run=run_none");
      await page.getByRole("alert").waitFor();
      return page;
    },
    "a comparison": async () => {
      const page = await at();
      await load(page);
      await ask(page);
      await response(page).fill("red, and nothing else: a word of one\nand two, three and green");
      await compare(page);
      await toggleTable(page);
      return page;
    },
  };
}

export function views(site: () => Site): void {
  const all = viewsOf(site);

  describe.each(Object.entries(all))("%s", (name, open) => {
    let page: Page;
    beforeAll(async () => {
      page = await open();
      await settled(page);
    });
    afterAll(() => leave(page));

    test.each(SCREENS)("fits %i px, %s, and axe finds nothing", async (width, colorScheme) => {
      await resize(page, width, colorScheme);
      if (PICTURES !== undefined) {
        const path = `${PICTURES}/${name.replaceAll(" ", "-")}-${width}-${colorScheme}.png`;
        await page.screenshot({ path, fullPage: true });
      }
      expect(await overflow(page)).toBeLessThanOrEqual(0);
      expect(await violations(page)).toEqual([]);
    });
  });

  test("the tokens are one stop of the keyboard, and arrows lead through them", async () => {
    const page = await all["a comparison"]!();
    const tokens = page.locator(".rewards .token");
    await tokens.first().focus();
    const said = page.locator(".rewards .pointed");
    const selected = (token: Locator) => expect.poll(() => token.getAttribute("aria-selected"));
    await selected(tokens.first()).toBe("true");
    const first = await said.innerText();
    await page.keyboard.press("ArrowRight");
    await selected(tokens.nth(1)).toBe("true");
    await expect.poll(() => said.innerText()).not.toBe(first);
    await expect.poll(() => said.innerText()).toMatch(/reward .*, student .*, teacher /);
    await page.keyboard.press("End");
    await selected(tokens.last()).toBe("true");
    await page.keyboard.press("Tab");
    await expect.poll(() => page.evaluate("document.activeElement.tagName")).toBe("SUMMARY");
    await tokens.first().hover();
    await expect.poll(() => said.innerText()).toBe(first);
    await leave(page);
  });
}
