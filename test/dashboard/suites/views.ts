// What holds of every view: axe, the keyboard, every width, both schemes, the policy, the size, the first paint.
import { gzipSync } from "node:zlib";
import type { BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { enterKey, focusedId, leave, overflow, resize, settled, violations } from "../browser.ts";
import type { Site } from "../site.ts";
import { fulfil, listOf } from "../answers.ts";
import { GENERATION, withPreferences } from "../preferences.ts";

const CLOSENESS_PLACE =
  "#/boards/ds_pairs?kind=closeness&split=test&template=chat&teacher=model_teacher&beta=0.1&generation=" +
  encodeURIComponent(JSON.stringify(GENERATION));

/** All that `/` loads, gzip, bytes. */
const BUDGET = 60_000;

const SCREENS = [
  [1280, "light"],
  [1280, "dark"],
  [375, "dark"],
  [3840, "light"],
] as const;

type Open = (options?: BrowserContextOptions) => Promise<Page>;

/** Opens each view, by its name. */
function viewsOf(site: () => Site): Record<string, Open> {
  const evaluation = (query = "") => `#/evaluations/${site().evaluations.get("student-dpkd")}${query}`;
  const changed = () => evaluation(`?changed_from=${site().evaluations.get("teacher-tuned")}`);
  const nothing = () => Promise.resolve();
  /** `sign` is what shows that the view is there. */
  const at =
    (place: () => string, sign: string, prepare: (page: Page) => Promise<unknown> = nothing, wrong = ""): Open =>
    async (options) => {
      const page = await site().open(options);
      await prepare(page);
      await page.goto(`/${place()}`);
      await enterKey(page, `${site().key}${wrong}`);
      await page.locator(sign).first().waitFor();
      return page;
    };
  const root = () => "";
  const preferring = (place: string, sign: string) =>
    at(
      () => place,
      sign,
      (page) => withPreferences(page, site().dataset),
    );
  return {
    "the key form": async (options) => {
      const page = await site().open(options);
      await page.goto("/");
      await page.getByLabel("API key").waitFor();
      return page;
    },
    "a refused key": at(root, "[role=alert]", nothing, "x"),
    "a board": at(root, "tr.entry"),
    "an empty project": at(root, ".command", (page) => fulfil(page, /\/v1\/boards\?/, listOf([]))),
    "a failure": at(root, "[role=alert]", (page) => page.route(/\/v1\/leaderboard\?/, (route) => route.abort())),
    records: at(evaluation, "article"),
    "records compared": at(changed, "mark"),
    "a board of accuracy": preferring("", "tr.entry"),
    "a board of closeness": preferring(CLOSENESS_PLACE, "tr.entry"),
    "judged pairs": preferring("#/preference-evaluations/pe_a1", "article"),
    "outputs beside the teacher's": preferring("#/preference-evaluations/pe_c2", "article"),
    "an evaluation that is not there": at(() => "#/evaluations/ev_none", "[role=alert]"),
  };
}

/** The order in which the keyboard reaches what is on a board. */
const ORDER = [
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
];

export function views(site: () => Site): void {
  const all = viewsOf(site);

  describe.each(Object.entries(all))("%s", (_, open) => {
    let page: Page;
    beforeAll(async () => {
      page = await open();
      await settled(page);
    });
    afterAll(() => leave(page));

    test.each(SCREENS)("fits %i px, %s, and axe finds nothing", async (width, colorScheme) => {
      await resize(page, width, colorScheme);
      expect(await overflow(page)).toBeLessThanOrEqual(0);
      expect(await violations(page)).toEqual([]);
    });
  });

  describe("in particular", () => particulars(site, all));
}

function particulars(site: () => Site, all: Record<string, Open>): void {
  let page: Page;
  afterEach(() => leave(page));

  test("a board on a phone is cards that are still a table", async () => {
    page = await all["a board"]!({ viewport: { width: 375, height: 700 } });
    await expect.poll(() => page.getByRole("table").getByRole("row").count()).toBe(9);
    await expect.poll(() => page.getByRole("rowheader", { name: "student-sft" }).count()).toBe(1);
    await settled(page);
    expect(await page.locator(".scroll").evaluate((box) => box.scrollWidth - box.clientWidth)).toBe(0);
  });

  const focused = () =>
    page.evaluate("(document.activeElement.labels?.[0] ?? document.activeElement).innerText.trim().split('\\n')[0]");
  const outline = () => page.evaluate("getComputedStyle(document.activeElement).outlineStyle");

  test("the keyboard reaches everything in the order of the page, and focus is seen", async () => {
    page = await all["a board"]!();
    await page.reload();
    await page.locator("tr.entry").first().waitFor();
    await settled(page);
    for (const name of ORDER) {
      await page.keyboard.press("Tab");
      await expect.poll(focused).toBe(name);
      await expect.poll(outline).toBe("solid");
    }
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "student-sft" }).waitFor();
    await page.locator("article").first().waitFor();
    await expect.poll(() => focusedId(page)).toBe("main");
    await page.keyboard.press("Tab");
    await expect.poll(focused).toBe("← Leaderboard");
  });

  test("the skip link leads past the header and changes nothing else", async () => {
    page = await all.records!();
    const before = page.url();
    await page.locator(".skip").focus();
    await page.keyboard.press("Enter");
    await expect.poll(() => focusedId(page)).toBe("main");
    expect(page.url()).toBe(before);
  });

  test("without a script the page says what it is, and where else to look", async () => {
    page = await site().open({ javaScriptEnabled: false });
    await page.goto("/");
    await expect.poll(() => page.locator("main").innerText()).toContain("Trains a small language model");
    await expect.poll(() => page.getByRole("link", { name: "Reference" }).getAttribute("href")).toBe("/docs");
  });

  test("all that / loads is small; the first paint is measured", async () => {
    page = await site().open();
    const sizes = new Map<string, Promise<number>>();
    page.on("response", (response) => {
      const size = response.body().then((body) => gzipSync(body).length);
      sizes.set(new URL(response.url()).pathname, size);
    });
    await page.goto("/", { waitUntil: "networkidle" });
    const loaded = await Promise.all([...sizes].map(async ([path, size]) => [path, await size] as const));
    const total = loaded.reduce((sum, [, size]) => sum + size, 0);
    const painted = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime";
    await page.waitForFunction(painted);
    const paint = await page.evaluate<number>(painted);
    console.log(`/ loads ${total} bytes gzip (${loaded.map((one) => one.join(" ")).join(", ")})`);
    console.log(`first contentful paint after ${Math.round(paint)} ms`);
    expect(loaded.map(([path]) => path)).toEqual(
      expect.arrayContaining(["/assets/dashboard.js", "/assets/dashboard.css"]),
    );
    expect(total).toBeLessThanOrEqual(BUDGET);
  });
}
