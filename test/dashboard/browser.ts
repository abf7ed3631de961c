// A real Chromium, and what every page in it is watched for.
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import axe from "axe-core";
import { chromium } from "playwright-core";
import type { BrowserContextOptions, Page } from "playwright-core";
import { expect } from "vitest";

/** A browser of this machine: $CHROMIUM, or `chromium` on PATH; null where there is none. */
function findChromium(): string | null {
  const named = process.env.CHROMIUM;
  const folders = ["/usr/bin", ...(process.env.PATH ?? "").split(delimiter)];
  const candidates = named === undefined ? folders.map((folder) => join(folder, "chromium")) : [named];
  return candidates.find((path) => existsSync(path)) ?? null;
}

export const CHROMIUM = findChromium();
if (CHROMIUM === null) {
  console.warn("skipped: tests of pages need Chromium (Debian: apt install chromium; or set CHROMIUM to its path)");
}

/** Every violation of the policy and every fault of the script, as the page met them. */
const faults = new WeakMap<Page, string[]>();

/** Ends a test's page, which met no fault. */
export async function leave(page: Page): Promise<void> {
  // Requests that nobody waits for any more may still be on their way.
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await page.context().close();
  expect(faults.get(page)).toEqual([]);
}

const WATCH_POLICY = `addEventListener("securitypolicyviolation", (event) =>
  console.error("policy violated: " + event.violatedDirective + " " + event.blockedURI))`;

async function watch(page: Page): Promise<void> {
  const found: string[] = [];
  faults.set(page, found);
  page.on("pageerror", (error) => found.push(String(error)));
  page.on("console", (message) => {
    // What the network refused is the page's to show, and the test's to look at.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) found.push(message.text());
  });
  await page.addInitScript(WATCH_POLICY);
}

export interface Opened {
  /** A page in a context of its own. */
  open: (options?: BrowserContextOptions) => Promise<Page>;
  close: () => Promise<void>;
}

export async function startBrowser(baseURL: string, flags: string[] = []): Promise<Opened> {
  const browser = await chromium.launch({ executablePath: CHROMIUM ?? "", args: ["--no-sandbox", ...flags] });
  return {
    async open(options) {
      const context = await browser.newContext({ baseURL, viewport: { width: 1280, height: 900 }, ...options });
      const page = await context.newPage();
      await watch(page);
      return page;
    },
    close: () => browser.close(),
  };
}

export async function enterKey(page: Page, key: string, button = "Open the leaderboard"): Promise<void> {
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: button }).click();
}

/** What axe finds on the page as it stands. */
export async function violations(page: Page): Promise<string[]> {
  // Evaluated by the debugger: a script element would break the page's own policy.
  await page.evaluate(axe.source);
  const { violations: found } = await page.evaluate<axe.AxeResults>("axe.run()");
  return found.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`));
}
