// The real page in a real Chromium: the built bundle in workerd, a project with graded responses, a browser.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BrowserContextOptions, Page } from "playwright-core";
import { startStack } from "../../scripts/stack/stack.ts";
import type { Stack } from "../../scripts/stack/stack.ts";
import { enterKey, startBrowser } from "./browser.ts";
import type { Opened } from "./browser.ts";
import { MODELS, givenResponses, questions } from "./seed.ts";

export interface Site extends Pick<Opened, "open"> {
  url: string;
  dataset: string;
  /** The evaluation of each model, by the model's name. */
  evaluations: ReadonlyMap<string, string>;
  /** A key that may read. */
  key: string;
  workerKey: string;
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

export async function startSite(): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "understudy-page-"));
  const stack = await startStack({ folder, port: 0, workers: 0, models: {} });
  const { dataset, evaluations } = await seed(stack);
  const key = await stack.client().createKey({ name: "reader", role: "read" });
  const browser = await startBrowser(stack.url);
  const site: Site = {
    url: stack.url,
    dataset,
    evaluations,
    key: key.secret!,
    workerKey: stack.keys.worker,
    open: browser.open,
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
