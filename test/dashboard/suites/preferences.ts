// Boards of preferences and the judged pairs behind them.
import type { Locator, Page } from "playwright-core";
import { afterEach, beforeAll, expect, test } from "vitest";
import { fulfil } from "../answers.ts";
import { evaluationOf, withPreferences } from "../preferences.ts";
import { HOSTILE } from "../seed.ts";
import { enterKey, focusedRecord, leave, settled, write } from "../browser.ts";
import type { Site } from "../site.ts";

export function preferences(use: () => Site): void {
  let site: Site;
  let page: Page;
  beforeAll(() => {
    site = use();
  });
  afterEach(() => leave(page));

  const visit = async (place: string) => {
    page = await site.open();
    await withPreferences(page, site.dataset);
    await page.goto(`/${place}`);
    await enterKey(page, site.key);
  };
  const rows = () => page.locator("tr.entry");
  const cells = (row: number) => rows().nth(row).getByRole("cell").allTextContents();
  const headings = (record: Locator) => record.getByRole("heading", { level: 4 }).allTextContents();
  const counted = (title: string) =>
    page.getByRole("region", { name: title, exact: true }).getByRole("status").first().textContent();

  test("a board of accuracy names each student's teacher and beta, and says what it is not", async () => {
    await visit("");
    await expect
      .poll(() => page.locator(".notice").textContent())
      .toContain("not the quality of what a student writes");
    await expect
      .poll(() => page.locator("caption").textContent())
      .toBe("4 entries by Preference accuracy: pairs, test, chat template, all rows");
    await expect
      .poll(() => page.locator("tr.band").allTextContents())
      .toEqual(["Group 1: 2 entries that cannot be told apart", "Group 2: 2 entries that cannot be told apart"]);
    await expect
      .poll(() => rows().first().getByRole("rowheader").textContent())
      .toBe("student-dpkdagainst teacher-tuned, beta 0.1");
    await expect.poll(() => rows().nth(1).textContent()).toContain("chosen on this split");
    await expect
      .poll(() => cells(0))
      .toEqual(["1", "78.0 68.0 to 85.0", "", "120", "—this is the best", "—there is none above it"]);
    await expect.poll(() => page.getByLabel("Ranked by").count()).toBe(0);
    await expect.poll(() => page.locator(".help details").textContent()).toContain("across teachers and betas");
  });

  test("a board of closeness is a place of its own, with strengths, and says to whom", async () => {
    await visit("");
    await page.getByLabel("Board").selectOption({
      label:
        "Closeness to teacher-tuned: pairs, test, chat template, all rows, beta 0.1, greedy, at most 64 tokens (4 models)",
    });
    await page.getByText("Closeness to teacher-tuned, not quality").waitFor();
    const strength = (row: number) => rows().nth(row).locator("[data-label=Strength]").textContent();
    await expect.poll(() => strength(1)).toBe("+0.28 (−0.02 to +0.58)");
    await expect.poll(() => strength(3)).toContain("won or lost every comparison");
    await expect.poll(() => page.getByRole("columnheader").allTextContents()).toContain("Strength");
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
    await expect.poll(() => headings(first)).toEqual(["Prompt", "Chosen", "Rejected"]);
    await expect
      .poll(() => first.locator("header").textContent())
      .toBe("pair-0rightmargin +0.500 · probability of chosen 0.622");
    await settled(page);
    const [chosen, rejected] = await first.locator(".pair > div").all();
    const [left, right] = [await chosen!.boundingBox(), await rejected!.boundingBox()];
    expect(left!.x + left!.width).toBeLessThanOrEqual(right!.x);
    expect(left!.y).toBe(right!.y);
    await expect.poll(() => chosen!.textContent()).toContain("Implicit reward +0.500");
    await page.getByText(HOSTILE, { exact: true }).first().waitFor();
    expect(await page.title()).toBe("understudy");
    await page.getByRole("link", { name: "Leaderboard" }).click();
    await page.locator("caption").getByText("Preference accuracy").waitFor();
  });

  test("right, wrong and ties are kept apart, searched and paged, and the address keeps it", async () => {
    await visit("#/preference-evaluations/pe_a1");
    await page.getByLabel("Show").selectOption("Wrong");
    await expect.poll(() => counted("Wrong")).toBe("6 records");
    await expect
      .poll(async () => new Set(await page.locator(".outcome").allTextContents()))
      .toEqual(new Set(["wrong"]));
    await page.getByLabel("Show").selectOption("Ties");
    await expect.poll(() => counted("Ties")).toBe("3 records");
    await page.reload();
    await expect.poll(() => counted("Ties")).toBe("3 records");
    await write(page, "Search", "number 19");
    await expect.poll(() => counted("Ties")).toBe("1 record");
    await expect.poll(() => page.url()).toContain("#/preference-evaluations/pe_a1?outcome=tie&q=number+19");
    await write(page, "Search", "");
    await page.getByLabel("Show").selectOption("All, in order");
    await expect.poll(() => counted("All pairs")).toBe("the first 20");
    await page.getByRole("button", { name: "More of these" }).click();
    await expect.poll(() => counted("All pairs")).toBe("30 records");
    await expect.poll(() => focusedRecord(page)).toBe("pair-20");
  });

  test("under closeness no side is the right one", async () => {
    await visit("#/preference-evaluations/pe_c2");
    await page.getByLabel("Show").selectOption("Student's preferred");
    await expect.poll(() => counted("Student's preferred")).toBe("6 records");
    const first = page.locator("article").first();
    await expect
      .poll(() => first.locator("header").textContent())
      .toBe("pair-7student's preferredseed 10 · margin −0.250 · probability of the teacher's 0.438");
    await expect.poll(() => headings(first)).toEqual(["Prompt", "Teacher's output", "Student's output"]);
    await expect.poll(() => page.locator(".outcome.right, .outcome.wrong").count()).toBe(0);
    await expect.poll(() => page.locator(".note").textContent()).toContain("closeness to that teacher, not quality");
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
    await expect.poll(() => page.getByRole("list", { name: "Figures" }).textContent()).toContain("not graded");
  });
}
