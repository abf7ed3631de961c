// A real Chromium, and what every page in it is watched for.
import axe from "axe-core";
import { chromium } from "playwright-core";
import type { BrowserContextOptions, Page, Request } from "playwright-core";
import { expect } from "vitest";
import type { SuiteOptions } from "vitest";
import { chromiumHere } from "./chromium.ts";

declare module "vitest" {
  interface TaskMeta {
    /** Why a test that is skipped before it starts does not run here: `skip(note)` is for those that have started. */
    skipped?: string;
  }
}

const NO_BROWSER = "no browser is known for this machine: set CHROMIUM to the path of a Chromium";

/** Options of every suite that needs a browser: it is skipped, with the reason, where there is none. */
export const inBrowser: SuiteOptions = chromiumHere === null ? { skip: true, meta: { skipped: NO_BROWSER } } : {};

/** A bound that only a hang reaches, also where other programs keep every core busy, ms. */
const PATIENCE_MS = 120_000;

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

/** What each page has asked for and not been answered yet. */
const underWay = new WeakMap<Page, Set<Request>>();

function follow(page: Page): void {
  const requests = new Set<Request>();
  underWay.set(page, requests);
  page.on("request", (request) => requests.add(request));
  page.on("requestfinished", (request) => requests.delete(request));
  page.on("requestfailed", (request) => requests.delete(request));
}

/** Two frames, and the effects of what is drawn in them. */
const DRAWN = "new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(drawn))))";

/** Waits until the page has drawn every answer that it asked for, and asks for no more. */
export async function settled(page: Page): Promise<void> {
  const requests = () => underWay.get(page)?.size ?? 0;
  for (let before = 1; before + requests() > 0;) {
    before = requests();
    await page.evaluate(DRAWN);
  }
}

async function watch(page: Page): Promise<void> {
  follow(page);
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
  if (chromiumHere === null) throw new Error(NO_BROWSER);
  const browser = await chromium.launch({
    ...(await chromiumHere()),
    args: ["--no-sandbox", ...flags],
    timeout: PATIENCE_MS,
  });
  return {
    async open(options) {
      const context = await browser.newContext({ baseURL, viewport: { width: 1280, height: 900 }, ...options });
      context.setDefaultTimeout(PATIENCE_MS);
      const page = await context.newPage();
      await watch(page);
      return page;
    },
    close: () => browser.close(),
  };
}

/** Fills a field once the page is drawn: the first effects of a field overwrite what was typed before them. */
export async function write(page: Page, label: string, text: string): Promise<void> {
  await page.getByLabel(label).waitFor();
  await settled(page);
  await page.getByLabel(label).fill(text);
}

export async function enterKey(page: Page, key: string, button = "Open the leaderboard"): Promise<void> {
  await write(page, "API key", key);
  await page.getByRole("button", { name: button }).click();
}

/** The id of the element that has the focus. */
export const focusedId = (page: Page): Promise<string> => page.evaluate("document.activeElement.id");

/** The title of the record that has the focus. */
export const focusedRecord = (page: Page): Promise<string | undefined> =>
  page.evaluate("document.activeElement.querySelector('h3')?.textContent");

/** Shows the page in a window so wide. */
export async function resize(page: Page, width: number, colorScheme: "light" | "dark"): Promise<void> {
  await page.setViewportSize({ width, height: 900 });
  await page.emulateMedia({ colorScheme });
}

/** Pixels by which the page is wider than its window. */
export const overflow = (page: Page): Promise<number> =>
  page.evaluate("document.documentElement.scrollWidth - innerWidth");

/** axe's own words for what it found; the rest of its answer is long, and takes longer than the rules. */
const LOOK = `axe.run({ resultTypes: ["violations"] }).then(({ violations }) => violations.flatMap(({ id, nodes }) =>
  nodes.map(({ html, failureSummary }) => id + ": " + html + "\\n" + failureSummary)))`;

/** What axe finds on the page as it stands. */
export async function violations(page: Page): Promise<string[]> {
  // Evaluated by the debugger: a script element would break the page's own policy.
  if (!(await page.evaluate<boolean>("'axe' in window"))) await page.evaluate(axe.source);
  return page.evaluate<string[]>(LOOK);
}
