// Boards of preferences and the judged pairs behind them.
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { fulfil } from "./answers.ts";
import { evaluationOf, withPreferences } from "./preferences.ts";
import { HOSTILE } from "./seed.ts";
import { CHROMIUM, enterKey, leave } from "./browser.ts";
import { startSite } from "./site.ts";
import type { Site } from "./site.ts";

describe.skipIf(CHROMIUM === null)("preferences", () => {
  let site: Site;
  let page: Page;
  beforeAll(async () => {
    site = await startSite();
  });
  afterAll(() => site.close());
  afterEach(() => leave(page));

  const visit = async (place: string) => {
    page = await site.open();
    await withPreferences(page, site.dataset);
    await page.goto(`/${place}`);
    await enterKey(page, site.key);
  };
  const rows = () => page.locator("tr.entry");
  const cells = (row: number) => rows().nth(row).getByRole("cell").allTextContents();
  const counted = (title: string) =>
    page.getByRole("region", { name: title, exact: true }).getByRole("status").first().textContent();

  test("a board of accuracy names each student's teacher and beta, and says what it is not", async () => {
    await visit("");
    await rows().first().waitFor();
    expect(await page.locator(".notice").textContent()).toContain("not the quality of what a student writes");
    expect(await page.locator("caption").textContent()).toBe(
      "4 entries by Preference accuracy: pairs, test, chat template, all rows",
    );
    expect(await page.locator("tr.band").allTextContents()).toEqual([
      "Group 1: 2 entries that cannot be told apart",
      "Group 2: 2 entries that cannot be told apart",
    ]);
    expect(await rows().first().getByRole("rowheader").textContent()).toBe(
      "student-dpkdagainst teacher-tuned, beta 0.1",
    );
    expect(await rows().nth(1).textContent()).toContain("chosen on this split");
    expect(await cells(0)).toEqual([
      "1",
      "78.0 68.0 to 85.0",
      "",
      "120",
      "—this is the best",
      "—there is none above it",
    ]);
    expect(await page.getByLabel("Ranked by").count()).toBe(0);
    expect(await page.locator(".help details").textContent()).toContain("across teachers and betas");
  });

  test("a board of closeness is a place of its own, with strengths, and says to whom", async () => {
    await visit("");
    await page.getByLabel("Board").selectOption({
      label:
        "Closeness to teacher-tuned: pairs, test, chat template, all rows, beta 0.1, greedy, at most 64 tokens (4 models)",
    });
    await page.getByText("Closeness to teacher-tuned, not quality").waitFor();
    expect(await rows().nth(1).locator("[data-label=Strength]").textContent()).toBe("+0.28 (−0.02 to +0.58)");
    expect(await rows().nth(3).locator("[data-label=Strength]").textContent()).toContain(
      "won or lost every comparison",
    );
    expect(await page.getByRole("columnheader").allTextContents()).toContain("Strength");
    await page.reload();
    await page.getByText("Closeness to teacher-tuned, not quality").waitFor();
    await page.getByLabel("Board").selectOption({ label: "short-answers, test, given responses, all rows (6 models)" });
    await page.getByText("6 models by Exact match").waitFor();
    await page.goBack();
    await page.getByText("Closeness to teacher-tuned, not quality").waitFor();
  });

  test("a click leads to the pairs, both responses side by side, and back", async () => {
    await visit("");
    await rows().first().locator(".plot").click({ force: true });
    await page.getByRole("heading", { level: 1, name: "student-dpkd against teacher-tuned" }).waitFor();
    await expect.poll(() => counted("All pairs")).toBe("the first 20");
    const first = page.locator("article").first();
    expect(await first.getByRole("heading", { level: 4 }).allTextContents()).toEqual(["Prompt", "Chosen", "Rejected"]);
    expect(await first.locator("header").textContent()).toBe("pair-0rightmargin +0.500 · probability of chosen 0.622");
    const [chosen, rejected] = await first.locator(".pair > div").all();
    const [left, right] = [await chosen!.boundingBox(), await rejected!.boundingBox()];
    expect(left!.x + left!.width).toBeLessThanOrEqual(right!.x);
    expect(left!.y).toBe(right!.y);
    expect(await chosen!.textContent()).toContain("Implicit reward +0.500");
    expect(await page.getByText(HOSTILE, { exact: true }).first().isVisible()).toBe(true);
    expect(await page.title()).toBe("understudy");
    await page.getByRole("link", { name: "Leaderboard" }).click();
    await page.locator("caption").getByText("Preference accuracy").waitFor();
  });

  test("right, wrong and ties are kept apart, searched and paged, and the address keeps it", async () => {
    await visit("#/preference-evaluations/pe_a1");
    await page.getByLabel("Show").selectOption("Wrong");
    await expect.poll(() => counted("Wrong")).toBe("6 records");
    expect(new Set(await page.locator(".outcome").allTextContents())).toEqual(new Set(["wrong"]));
    await page.getByLabel("Show").selectOption("Ties");
    await expect.poll(() => counted("Ties")).toBe("3 records");
    await page.reload();
    await expect.poll(() => counted("Ties")).toBe("3 records");
    await page.getByLabel("Search").fill("number 19");
    await expect.poll(() => counted("Ties")).toBe("1 record");
    expect(page.url()).toContain("#/preference-evaluations/pe_a1?outcome=tie&q=number+19");
    await page.getByLabel("Search").fill("");
    await page.getByLabel("Show").selectOption("All, in order");
    await expect.poll(() => counted("All pairs")).toBe("the first 20");
    await page.getByRole("button", { name: "More of these" }).click();
    await expect.poll(() => counted("All pairs")).toBe("30 records");
    expect(await page.evaluate("document.activeElement.querySelector('h3').textContent")).toBe("pair-20");
  });

  test("under closeness no side is the right one", async () => {
    await visit("#/preference-evaluations/pe_c2");
    await page.getByLabel("Show").selectOption("Student's preferred");
    await expect.poll(() => counted("Student's preferred")).toBe("6 records");
    const first = page.locator("article").first();
    expect(await first.locator("header").textContent()).toBe(
      "pair-7student's preferredseed 10 · margin −0.250 · probability of the teacher's 0.438",
    );
    expect(await first.getByRole("heading", { level: 4 }).allTextContents()).toEqual([
      "Prompt",
      "Teacher's output",
      "Student's output",
    ]);
    expect(await page.locator(".outcome.right, .outcome.wrong").count()).toBe(0);
    expect(await page.locator(".note").textContent()).toContain("closeness to that teacher, not quality");
  });

  test("all pairs are saved as a file", async () => {
    await visit("#/preference-evaluations/pe_a1");
    await fulfil(page, /\/records\.csv$/, "id");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "CSV", exact: true }).click(),
    ]);
    expect(download.suggestedFilename()).toBe("pe_a1.csv");
  });

  test("one under way says how far it is; one that is not there, that it is not", async () => {
    await visit("#/preference-evaluations/pe_none");
    await page.getByText("Not found.").waitFor();
    const running = { ...evaluationOf("accuracy"), id: "pe_run", status: "running", done: 12, metrics: null };
    await fulfil(page, /\/v1\/preference-evaluations\/pe_run$/, running);
    await page.route(/pe_run\/records\?/, (route) => route.fulfill({ json: { data: [], has_more: false } }));
    await page.goto("/#/preference-evaluations/pe_run");
    await page.getByText("Under way: 12 of 30 pairs").waitFor();
    expect(await page.getByRole("list", { name: "Figures" }).textContent()).toContain("not graded");
  });
});
