// The real page in a real Chromium: the built bundle in workerd, a project with graded responses, a browser.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import axe from "axe-core";
import { expect } from "vitest";
import { chromium } from "playwright-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { startStack } from "../../scripts/stack/stack.ts";
import type { Stack } from "../../scripts/stack/stack.ts";
import { MODELS, givenResponses, questions } from "./seed.ts";

/** A browser of this machine: $CHROMIUM, or `chromium` on PATH; null where there is none. */
function findChromium(): string | null {
  const named = process.env.CHROMIUM;
  const folders = ["/usr/bin", ...(process.env.PATH ?? "").split(delimiter)];
  const candidates = named === undefined ? folders.map((folder) => join(folder, "chromium")) : [named];
  return candidates.find((path) => existsSync(path)) ?? null;
}

export const CHROMIUM = findChromium();
if (CHROMIUM === null) {
  console.warn(
    "skipped: the dashboard's tests need Chromium (Debian: apt install chromium; or set CHROMIUM to its path)",
  );
}

export interface Site {
  url: string;
  dataset: string;
  /** The evaluation of each model, by the model's name. */
  evaluations: ReadonlyMap<string, string>;
  /** A key that may read. */
  key: string;
  workerKey: string;
  open(options?: BrowserContextOptions): Promise<Page>;
  /** A page that shows `place`, with the key given. */
  visit(place: string, options?: BrowserContextOptions): Promise<Page>;
  close(): Promise<void>;
}

async function seed(stack: Stack): Promise<{ dataset: string; evaluations: Map<string, string> }> {
  const client = stack.client();
  const { id } = await client.uploadDataset("short-answers", questions());
  const evaluations = new Map<string, string>();
  for (const [name, right] of MODELS) {
    const made = await client.evaluations.create({ name, dataset: id, responses: givenResponses(right) });
    evaluations.set(name, made.id);
  }
  return { dataset: id, evaluations };
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

export async function enterKey(page: Page, key: string): Promise<void> {
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Open the leaderboard" }).click();
}

export async function startSite(): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "understudy-page-"));
  const stack = await startStack({ folder, port: 0, workers: 0, models: {} });
  const { dataset, evaluations } = await seed(stack);
  const key = await stack.client().createKey({ name: "reader", role: "read" });
  const browser: Browser = await chromium.launch({ executablePath: CHROMIUM ?? "", args: ["--no-sandbox"] });
  const site: Site = {
    url: stack.url,
    dataset,
    evaluations,
    key: key.secret!,
    workerKey: stack.keys.worker,
    async open(options) {
      const context = await browser.newContext({
        baseURL: stack.url,
        viewport: { width: 1280, height: 900 },
        ...options,
      });
      const page = await context.newPage();
      await watch(page);
      return page;
    },
    async visit(place, options) {
      const page = await site.open(options);
      await page.goto(`/${place}`);
      await enterKey(page, site.key);
      return page;
    },
    async close() {
      await browser.close();
      await stack.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return site;
}

/** What axe finds on the page as it stands. */
export async function violations(page: Page): Promise<string[]> {
  // Evaluated by the debugger: a script element would break the page's own policy.
  await page.evaluate(axe.source);
  const { violations: found } = await page.evaluate<axe.AxeResults>("axe.run()");
  return found.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`));
}
