// The records of an evaluation: right and wrong, filters, comparison, files, and one that is under way.
import type { Page } from "playwright-core";
import { afterEach, beforeAll, expect, test } from "vitest";
import type { Evaluation } from "../../../src/dashboard/answers/evaluations.ts";
import { HOSTILE, LONG } from "../seed.ts";
import { enterKey, focusedRecord, leave, settled, write } from "../browser.ts";
import type { Site } from "../site.ts";
import { fulfil } from "../answers.ts";

/** After everything that a page does while its clock still runs by itself. */
const HOUR_MS = 3_600_000;
/** Enough for the effects of what has been drawn, and too short for a refresh. */
const EFFECTS_MS = 100;

export function records(use: () => Site): void {
  let site: Site;
  let page: Page;
  beforeAll(() => {
    site = use();
  });
  afterEach(() => leave(page));

  const place = (model: string, query = "") => `#/evaluations/${site.evaluations.get(model)}${query}`;
  const list = (title: string) => page.getByRole("region", { name: title, exact: true });
  const counted = (title: string) => list(title).getByRole("status").first().textContent();
  const outcomes = (title: string) => list(title).locator(".outcome").allTextContents();

  test("right and wrong stand side by side, with all that was graded", async () => {
    page = await site.visit(place("student-sft"));
    await expect.poll(() => counted("Right")).toBe("the first 20");
    await expect.poll(() => counted("Wrong")).toBe("8 records");
    await expect.poll(async () => new Set(await outcomes("Right"))).toEqual(new Set(["right"]));
    await expect.poll(async () => new Set(await outcomes("Wrong"))).toEqual(new Set(["wrong"]));
    await settled(page);
    const [right, wrong] = await Promise.all(["Right", "Wrong"].map((title) => list(title).boundingBox()));
    expect(right!.x + right!.width).toBeLessThanOrEqual(wrong!.x);
    expect(right!.y).toBe(wrong!.y);
    const first = () => list("Wrong").locator("article").first().innerText();
    await expect.poll(first).toContain("sum-32");
    await expect.poll(first).toContain("I think that it is 66, more or less.");
    await expect.poll(first).toMatch(/Exact match 0\.0/);
    await expect.poll(() => page.locator(".facts").innerText()).toMatch(/short-answers, split test, all rows/);
  });

  test("what a model wrote stays text", async () => {
    page = await site.visit(place("student-sft", "?show=wrong&q=onerror"));
    await list("Wrong").getByText(HOSTILE, { exact: true }).waitFor();
    expect(await page.locator("main img:not(svg), main script, main b").count()).toBe(0);
    expect(await page.title()).toBe("understudy");
  });

  test("a long response is cut, and whole on demand", async () => {
    page = await site.visit(place("student-sft", "?show=wrong&q=and+so+on"));
    const written = list("Wrong").locator(".written").last();
    await expect.poll(async () => (await written.textContent())?.length).toBeLessThan(1300);
    await page.getByRole("button", { name: "Show all 4,000 characters" }).click();
    await expect.poll(() => written.textContent()).toBe(LONG);
  });

  test("filters are kept in the address, searches wait for a pause", async () => {
    page = await site.open();
    await page.clock.install({ time: 0 });
    await page.goto(`/${place("student-dpkd")}`);
    await enterKey(page, site.key);
    await page.getByLabel("Show").selectOption("Wrong only");
    await expect.poll(() => counted("Wrong")).toBe("7 records");
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    // The typing takes no time, however slow this machine is: the pause is what comes after it.
    await settled(page);
    await page.clock.pauseAt(HOUR_MS);
    await page.getByLabel("Search").pressSequentially("36 plus");
    await page.clock.runFor(1000);
    await expect.poll(() => counted("Wrong")).toBe("1 record");
    expect(asked.filter((url) => url.includes("/records?"))).toHaveLength(1);
    await page.clock.resume();
    await page.getByLabel("Judged by").selectOption("ROUGE-L");
    await expect.poll(() => page.url()).toContain("metric=rouge_l&show=wrong&q=36+plus");
    await page.reload();
    await expect.poll(() => counted("Wrong")).toBe("1 record");
    await write(page, "Search", "nowhere to be found");
    await expect.poll(() => counted("Wrong")).toBe("None");
  });

  test("more records follow on demand, and the reader goes on at the first of them", async () => {
    page = await site.visit(place("student-dpkd", "?show=all"));
    await expect.poll(() => counted("All")).toBe("the first 20");
    await page.getByRole("button", { name: "More of these" }).click();
    await expect.poll(() => counted("All")).toBe("40 records");
    await expect.poll(() => focusedRecord(page)).toBe("sum-20");
    await expect.poll(() => page.getByRole("button", { name: "More of these" }).count()).toBe(0);
  });

  test("two evaluations of a board are compared, and what differs is marked", async () => {
    page = await site.visit(place("student-dpkd"));
    await page.getByLabel("Changed against").selectOption("teacher-tuned");
    await expect.poll(() => counted("Wrong")).toBe("5 records");
    const record = list("Wrong").locator("article").first();
    await expect
      .poll(() => record.getByRole("heading", { level: 4 }).allTextContents())
      .toEqual(["Prompt", "Reference", "Response", "teacher-tuned"]);
    await expect
      .poll(() => record.locator("mark").allTextContents())
      .toEqual(["I think that it is 68, more or less.", "67"]);
    await expect.poll(() => page.url()).toContain(`changed_from=${site.evaluations.get("teacher-tuned")}`);
    await expect.poll(() => counted("Right")).toBe("None");
  });

  test("all records are saved as a file", async () => {
    page = await site.visit(place("student-dpkd"));
    for (const kind of ["CSV", "JSONL"]) {
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("button", { name: kind, exact: true }).click(),
      ]);
      expect(download.suggestedFilename()).toBe(`${site.evaluations.get("student-dpkd")}.${kind.toLowerCase()}`);
    }
  });

  const readEvaluation = async (model: string): Promise<Evaluation> => {
    const headers = { authorization: `Bearer ${site.key}` };
    const answer = await fetch(`${site.url}/v1/evaluations/${site.evaluations.get(model)}`, { headers });
    return (await answer.json()) as Evaluation;
  };

  test("one under way is followed while the tab is seen, until it ends", async () => {
    page = await site.open();
    const ended = await readEvaluation("student-sft");
    const states = [
      { ...ended, status: "queued", done: 0, metrics: null },
      { ...ended, status: "running", done: 12, metrics: null },
      { ...ended, status: "running", done: 30, metrics: null },
      ended,
    ];
    let asked = 0;
    const paused = Promise.withResolvers();
    await page.route(new RegExp(`/v1/evaluations/${ended.id}$`), async (route) => {
      const json = states[Math.min(asked++, states.length - 1)];
      await paused.promise;
      await route.fulfill({ json });
    });
    // Time goes on only where it is told to: the page would otherwise ask again before a slow machine has looked.
    await page.clock.install({ time: 0 });
    await page.goto(`/${place("student-sft")}`);
    await enterKey(page, site.key);
    await expect.poll(() => asked).toBe(1);
    await page.clock.pauseAt(HOUR_MS);
    paused.resolve(null);
    await page.getByText("Waiting for a worker: 0 of 40 responses").waitFor();
    await page.clock.runFor(3500);
    await page.getByText("Under way: 12 of 40 responses").waitFor();
    await page.clock.runFor(EFFECTS_MS);
    const see = (state: string) =>
      page.evaluate(`Object.defineProperty(document, "visibilityState", { value: "${state}", configurable: true });
        document.dispatchEvent(new Event("visibilitychange"))`);
    await see("hidden");
    await page.clock.runFor(60_000);
    expect(asked).toBe(2);
    await see("visible");
    await page.clock.runFor(EFFECTS_MS);
    await page.getByText("Under way: 30 of 40 responses").waitFor();
    await page.clock.runFor(3500);
    await page.getByRole("list", { name: "Figures" }).waitFor();
    await expect.poll(() => page.getByRole("progressbar").count()).toBe(0);
    await page.clock.runFor(60_000);
    expect(asked).toBe(4);
  });

  test("one that failed says why", async () => {
    page = await site.open();
    const ended = await readEvaluation("student-sft");
    const error = { code: "poisoned", message: "two workers died of it", retryable: true };
    await fulfil(page, new RegExp(`/v1/evaluations/${ended.id}$`), {
      ...ended,
      status: "failed",
      metrics: null,
      error,
    });
    await page.goto(`/${place("student-sft")}`);
    await enterKey(page, site.key);
    await page.getByText("This evaluation failed. two workers died of it (poisoned)").waitFor();
  });

  test("an evaluation that is not there is said not to be", async () => {
    page = await site.visit("#/evaluations/ev_none");
    await page.getByText("Not found.").waitFor();
    await page.getByRole("link", { name: "Leaderboard" }).click();
    await page.locator("tr.entry").first().waitFor();
  });
}
