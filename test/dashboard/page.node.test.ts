// What holds of every view: axe, the keyboard, every width, both schemes, the policy, the size, the first paint.
import { gzipSync } from "node:zlib";
import type { BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { CHROMIUM, enterKey, leave, violations } from "./browser.ts";
import { startSite } from "./site.ts";
import type { Site } from "./site.ts";
import { fulfil, listOf } from "./answers.ts";
import { GENERATION, withPreferences } from "./preferences.ts";

const CLOSENESS_PLACE =
  "#/boards/ds_pairs?kind=closeness&split=test&template=chat&teacher=model_teacher&beta=0.1&generation=" +
  encodeURIComponent(JSON.stringify(GENERATION));

/** All that `/` loads, gzip, bytes. */
const BUDGET = 60_000;

describe.skipIf(CHROMIUM === null)("every view", () => {
  let site: Site;
  let page: Page;
  beforeAll(async () => {
    site = await startSite();
  });
  afterAll(() => site.close());
  afterEach(() => leave(page));

  const evaluation = (query = "") => `#/evaluations/${site.evaluations.get("student-dpkd")}${query}`;
  const changed = () => evaluation(`?changed_from=${site.evaluations.get("teacher-tuned")}`);
  const visited = (place: () => string, sign: string) => async (options: BrowserContextOptions) => {
    page = await site.visit(place(), options);
    await page.locator(sign).first().waitFor();
  };
  const entered = async (options: BrowserContextOptions, key: string, prepare: (page: Page) => Promise<unknown>) => {
    page = await site.open(options);
    await prepare(page);
    await page.goto("/");
    await enterKey(page, key);
  };
  const preferring = (place: string, sign: string) => async (options: BrowserContextOptions) => {
    page = await site.open(options);
    await withPreferences(page, site.dataset);
    await page.goto(`/${place}`);
    await enterKey(page, site.key);
    await page.locator(sign).first().waitFor();
  };

  const VIEWS: Record<string, (options: BrowserContextOptions) => Promise<void>> = {
    "the key form": async (options) => {
      page = await site.open(options);
      await page.goto("/");
      await page.getByLabel("API key").waitFor();
    },
    "a refused key": async (options) => {
      await entered(options, `${site.key}x`, () => Promise.resolve());
      await page.getByRole("alert").waitFor();
    },
    "a board": visited(() => "", "tr.entry"),
    "an empty project": async (options) => {
      await entered(options, site.key, (opened) => fulfil(opened, /\/v1\/boards\?/, listOf([])));
      await page.locator(".command").first().waitFor();
    },
    "a failure": async (options) => {
      await entered(options, site.key, (opened) => opened.route(/\/v1\/leaderboard\?/, (route) => route.abort()));
      await page.getByRole("alert").waitFor();
    },
    records: visited(evaluation, "article"),
    "records compared": visited(changed, "mark"),
    "a board of accuracy": preferring("", "tr.entry"),
    "a board of closeness": preferring(CLOSENESS_PLACE, "tr.entry"),
    "judged pairs": preferring("#/preference-evaluations/pe_a1", "article"),
    "outputs beside the teacher's": preferring("#/preference-evaluations/pe_c2", "article"),
    "an evaluation that is not there": visited(() => "#/evaluations/ev_none", "[role=alert]"),
  };
  const names = Object.keys(VIEWS);
  const SCREENS = [
    [1280, "light"],
    [1280, "dark"],
    [375, "dark"],
    [3840, "light"],
  ] as const;

  test.each(SCREENS.flatMap((screen) => names.map((name) => [name, ...screen] as const)))(
    "%s fits %i px, %s, and axe finds nothing",
    async (name, width, colorScheme) => {
      await VIEWS[name]!({ viewport: { width, height: 900 }, colorScheme });
      expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
      expect(await violations(page)).toEqual([]);
    },
  );

  test("a board on a phone is cards that are still a table", async () => {
    await VIEWS["a board"]!({ viewport: { width: 375, height: 700 } });
    expect(await page.getByRole("table").getByRole("row").count()).toBe(9);
    expect(await page.getByRole("rowheader", { name: "student-sft" }).count()).toBe(1);
    expect(await page.locator(".scroll").evaluate((box) => box.scrollWidth - box.clientWidth)).toBe(0);
  });

  const focused = () =>
    page.evaluate("(document.activeElement.labels?.[0] ?? document.activeElement).innerText.trim()");

  test("the keyboard reaches everything in the order of the page, and focus is seen", async () => {
    await VIEWS["a board"]!({});
    await page.reload();
    await page.locator("tr.entry").first().waitFor();
    const walk: string[] = [];
    for (let i = 0; i < 13; i += 1) {
      await page.keyboard.press("Tab");
      walk.push(String(await focused()).split("\n")[0] ?? "");
      expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).toBe("solid");
    }
    expect(walk).toEqual([
      "Skip to the content",
      "understudy",
      "Playground",
      "Reference",
      "OpenAPI",
      "Health",
      "Forget key",
      "Board",
      "Ranked by",
      "Find a model",
      "teacher-tuned",
      "student-dpkd",
      "student-sft",
    ]);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "student-sft" }).waitFor();
    await page.locator("article").first().waitFor();
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("← Leaderboard");
  });

  test("the skip link leads past the header and changes nothing else", async () => {
    await VIEWS.records!({});
    const before = page.url();
    await page.locator(".skip").focus();
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement.id")).toBe("main");
    expect(page.url()).toBe(before);
  });

  test("without a script the page says what it is, and where else to look", async () => {
    page = await site.open({ javaScriptEnabled: false });
    await page.goto("/");
    expect(await page.locator("main").innerText()).toContain("Trains a small language model");
    expect(await page.getByRole("link", { name: "Reference" }).getAttribute("href")).toBe("/docs");
  });

  test("all that / loads is small; the first paint is measured", async () => {
    page = await site.open();
    const sizes = new Map<string, Promise<number>>();
    page.on("response", (response) => {
      const size = response.body().then((body) => gzipSync(body).length);
      sizes.set(new URL(response.url()).pathname, size);
    });
    await page.goto("/", { waitUntil: "networkidle" });
    const loaded = await Promise.all([...sizes].map(async ([path, size]) => [path, await size] as const));
    const total = loaded.reduce((sum, [, size]) => sum + size, 0);
    const paint = await page.evaluate<number>("performance.getEntriesByName('first-contentful-paint')[0].startTime");
    console.log(`/ loads ${total} bytes gzip (${loaded.map((one) => one.join(" ")).join(", ")})`);
    console.log(`first contentful paint after ${Math.round(paint)} ms`);
    expect(loaded.map(([path]) => path)).toEqual(
      expect.arrayContaining(["/assets/dashboard.js", "/assets/dashboard.css"]),
    );
    expect(total).toBeLessThanOrEqual(BUDGET);
  });
});
