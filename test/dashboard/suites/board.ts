// The leaderboard: what it shows of a board, how one gets there, and what stands there where there is none.
import type { Page } from "playwright-core";
import { afterEach, beforeAll, expect, test } from "vitest";
import type { Leaderboard } from "../../../src/wire/evaluations.ts";
import { enterKey, focusedId, leave, write } from "../browser.ts";
import type { Site } from "../site.ts";
import { boardOf, fulfil, listOf } from "../answers.ts";

export function board(use: () => Site): void {
  let site: Site;
  let page: Page;
  beforeAll(() => {
    site = use();
  });
  afterEach(() => leave(page));

  const rows = () => page.locator("tr.entry");

  test("a key is asked for, kept for this tab out of every address, and forgotten on demand", async () => {
    page = await site.open();
    const addresses: string[] = [];
    page.on("request", (request) => addresses.push(request.url()));
    await page.goto("/");
    await expect.poll(() => page.title()).toBe("understudy");
    await enterKey(page, "a key");
    await page.getByRole("alert").filter({ hasText: "begins with us_" }).waitFor();
    await enterKey(page, site.key);
    await rows().first().waitFor();
    await page.reload();
    await rows().first().waitFor();
    await page.getByRole("button", { name: "Forget key" }).click();
    await page.getByLabel("API key").waitFor();
    await expect.poll(() => page.evaluate("sessionStorage.length + localStorage.length")).toBe(0);
    expect([page.url(), ...addresses].filter((url) => url.includes(site.key))).toEqual([]);
  });

  test.each([
    ["that is wrong", () => `${site.key}x`, "This key is not accepted."],
    ["of a worker", () => site.workerKey, "This key may not read."],
  ])("a key %s is refused by the service, and the form says so", async (_, key, message) => {
    page = await site.open();
    await page.goto("/");
    await enterKey(page, key());
    await page.getByRole("alert").filter({ hasText: message }).waitFor();
    await expect.poll(() => focusedId(page)).toBe("key");
    await enterKey(page, site.key);
    await rows().first().waitFor();
  });

  test("models stand in groups, with figures, intervals and tests", async () => {
    page = await site.visit("");
    await expect
      .poll(() => page.locator("tr.band").allTextContents())
      .toEqual([
        "Group 1: 3 models that cannot be told apart",
        "Group 2: one model on its own",
        "Group 3: 2 models that cannot be told apart",
      ]);
    const best = rows().first();
    await expect.poll(() => best.getByRole("rowheader").textContent()).toBe("teacher-tuned");
    await expect
      .poll(() => best.getByRole("cell").allTextContents())
      .toEqual([
        "1",
        expect.stringMatching(/^95\.0 8\d\.\d to 9\d\.\d$/),
        "",
        "40",
        "—this is the best",
        "—there is none above it",
      ]);
    await expect.poll(() => best.getByRole("img").getAttribute("aria-label")).toMatch(/^mean 95\.0, 95% interval 8/);
    await expect.poll(() => rows().nth(3).locator("[data-label='p vs best']").textContent()).toBe("< 0.001");
    await expect
      .poll(() => page.locator(".help").textContent())
      .toMatch(/smaller than about \d+\.\d points would often go unseen/);
  });

  test("a model is found by its name, and a click anywhere in its row leads to its records", async () => {
    page = await site.visit("");
    await write(page, "Find a model", "reverse");
    await expect.poll(() => rows().count()).toBe(1);
    await rows().first().locator(".plot").click({ force: true });
    await page.getByRole("heading", { level: 1, name: "student-reverse-kl" }).waitFor();
    await expect.poll(() => page.url()).toContain(`#/evaluations/${site.evaluations.get("student-reverse-kl")}`);
    await expect.poll(() => focusedId(page)).toBe("main");
    await page.goBack();
    await rows().nth(5).waitFor();
  });

  test("another metric and another board are places of their own", async () => {
    page = await site.open();
    const others = [
      boardOf(site.dataset),
      boardOf("ds_other", { dataset_name: "other", limit: 100, template: "chat" }),
    ];
    await fulfil(page, /\/v1\/boards\?/, listOf(others));
    await page.goto("/");
    await enterKey(page, site.key);
    await page.getByLabel("Ranked by").selectOption("ROUGE-L");
    await page.getByText("6 models by ROUGE-L").waitFor();
    await page.reload();
    await page.getByText("6 models by ROUGE-L").waitFor();
    await page.getByLabel("Board").selectOption({ label: "other, test, chat template, first 100 rows (6 models)" });
    await page.getByText("Not found.").waitFor();
    await expect
      .poll(() => page.url())
      .toContain("#/boards/ds_other?split=test&template=chat&limit=100&metric=rouge_l");
    await page.goBack();
    await page.getByText("6 models by ROUGE-L").waitFor();
    for (const gone of ["ds_gone", "%E0%A4%A"]) {
      // The next one shows the same: a page of its own tells them apart.
      await page.goto("about:blank");
      await page.goto(`/#/boards/${gone}`);
      await page.getByText("There is no such board").waitFor();
    }
  });

  test("a checkpoint that was chosen on this very split is marked, and the mark explained", async () => {
    page = await site.open();
    await page.route(/\/v1\/leaderboard\?/, async (route) => {
      const board: Leaderboard = await (await route.fetch()).json();
      const data = board.data.map((entry, i) => ({ ...entry, selected_on_this_split: i === 1 }));
      await route.fulfill({ json: { ...board, data } });
    });
    await page.goto("/");
    await enterKey(page, site.key);
    await expect.poll(() => rows().nth(1).textContent()).toContain("chosen on this split");
    await expect.poll(() => page.locator(".help dt").allTextContents()).toContain("Chosen on this split");
  });

  test("a project without evaluations is told how to make one", async () => {
    page = await site.open();
    await fulfil(page, /\/v1\/boards\?/, listOf([]));
    await page.goto("/");
    await enterKey(page, site.key);
    await page.getByRole("heading", { name: "Make the first one" }).waitFor();
    await expect
      .poll(() => page.locator(".command").allTextContents())
      .toEqual([
        expect.stringContaining(`curl "${site.url}/v1/datasets?name=questions`),
        expect.stringContaining(`curl "${site.url}/v1/evaluations"`),
      ]);
  });

  test("too many requests, no connection and a strange answer are told apart, and may be tried again", async () => {
    page = await site.open();
    await page.route(/\/v1\/leaderboard\?/, (route) => route.fulfill({ status: 429, headers: { "retry-after": "7" } }));
    await page.goto("/");
    await enterKey(page, site.key);
    await page.getByText("The service takes requests again in 7 s.").waitFor();
    const retry = page.getByRole("button", { name: "Try again" });
    await page.route(/\/v1\/leaderboard\?/, (route) => route.abort());
    await retry.click();
    await page.getByText("The service cannot be reached.").waitFor();
    await fulfil(page, /\/v1\/leaderboard\?/, { object: "leaderboard", data: [{ rank: "first" }] });
    await retry.click();
    await page.getByText("The answer cannot be read.").waitFor();
    await page.unroute(/\/v1\/leaderboard\?/);
    await retry.click();
    await rows().first().waitFor();
  });
}
