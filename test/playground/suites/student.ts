// The student in the browser against the same checkpoint in the pool; and what leaves the browser.
import type { Page } from "playwright-core";
import { afterEach, beforeAll, expect, test } from "vitest";
import { stepOf } from "../../../src/playground/compare/scale.ts";
import { leave, settled } from "../../dashboard/browser.ts";
import {
  PROMPT,
  ask,
  compare,
  enter,
  load,
  placeOf,
  pooled,
  ready,
  requests,
  response,
  rows,
  toggleTable,
} from "../playground.ts";
import type { Site } from "../playground.ts";

export function student(use: () => Site): void {
  let site: Site;
  let page: Page;
  beforeAll(() => {
    site = use();
  });
  afterEach(() => leave(page));

  const open = async (place = placeOf(site.run)): Promise<void> => {
    page = await site.browser.open();
    await page.goto(place);
    await enter(page, site.key);
  };
  const opened = async (place?: string): Promise<void> => {
    await open(place);
    await load(page);
  };

  interface Chat {
    choices: { message: { content: string }; finish_reason: string; logprobs: { content: { logprob: number }[] } }[];
    usage: { completion_tokens: number };
  }
  const chat = async (most: number): Promise<Chat> => {
    const asked = await fetch(`${site.harness.stack.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${site.key}`, "content-type": "application/json" },
      body: JSON.stringify({
        model: `${site.run}@4`,
        messages: [{ role: "user", content: PROMPT }],
        temperature: 0,
        max_tokens: most,
        logprobs: true,
      }),
    });
    return (await asked.json()) as Chat;
  };

  test("answers as the pool does, token by token", async () => {
    await opened();
    await ask(page);
    const { choices, usage } = await chat(32);
    await expect.poll(() => response(page).inputValue()).toBe(choices[0]!.message.content);
    const tokens = page.getByRole("listbox", { name: "Answer, token by token" }).getByRole("option");
    await expect.poll(() => tokens.count()).toBe(usage.completion_tokens);
    const figures = await tokens.locator(".figure").allInnerTexts();
    const ours = figures.map((figure) => Number(figure.replace("\u2212", "-")));
    for (const [i, { logprob }] of choices[0]!.logprobs.content.entries()) expect(ours[i]).toBeCloseTo(logprob, 2);
    await expect
      .poll(() => page.getByText(/tokens\/s/).innerText())
      .toMatch(/\d+ tokens · .* · [\d.]+ tokens\/s · \d+ tokens of prompt/);
    await expect.poll(() => ready(page).innerText()).toMatch(/Ready on wasm with \d threads?,/);
    expect(await page.evaluate("crossOriginIsolated")).toBe(true);
  });

  test("colours a response by the rewards that the service computes", async () => {
    await opened();
    for (const text of ["red", "a longer one, and nothing else, with caf\u00e9 \ud83d\ude00 in it"]) {
      await page.getByLabel("Prompt").fill(PROMPT);
      await response(page).fill(text);
      await compare(page);
      const [theirs] = (await pooled(site, text)).data;
      await toggleTable(page);
      const ids = theirs!.tokens!.map(({ id }) => id);
      await expect.poll(async () => (await rows(page)).map(({ id }) => id)).toEqual(ids);
      const found = await rows(page);
      for (const [i, token] of theirs!.tokens!.entries()) {
        // The table has four digits.
        expect(Math.abs(found[i]!.student - token.student_logprob)).toBeLessThan(1e-4 + 5e-5);
        expect(Math.abs(found[i]!.teacher - token.teacher_logprob)).toBeLessThan(1e-4);
        expect(Math.abs(found[i]!.reward - token.implicit_reward)).toBeLessThan(1e-4);
      }
      const total = await page.locator(".total strong").innerText();
      expect(Number(total.replace("\u2212", "-"))).toBeCloseTo(theirs!.implicit_reward, 2);
      const shades = () => page.locator(".rewards .token").evaluateAll((all) => all.map((one) => one.className));
      const expected = theirs!.tokens!.map(
        ({ student_logprob: student, teacher_logprob: teacher }) => `token shade shade${stepOf({ student, teacher })}`,
      );
      await expect.poll(shades).toEqual(expected);
      expect(new Set(expected).size).toBeGreaterThan(1);
      await toggleTable(page);
    }
    await expect
      .poll(() => page.getByText(/^The student's log-probabilities were/).innerText())
      .toMatch(/computed_by: (edge|pool)/);
  });

  test("another beta changes the rewards and asks nobody", async () => {
    await opened();
    await page.getByLabel("Prompt").fill(PROMPT);
    await response(page).fill("green");
    await compare(page);
    await toggleTable(page);
    const before = await rows(page);
    const seen = requests(page);
    await page.getByLabel("beta").fill("0.2");
    const doubled = before.map(({ reward }) => expect.closeTo(2 * reward, 3));
    await expect.poll(async () => (await rows(page)).map(({ reward }) => reward)).toEqual(doubled);
    expect(seen).toEqual([]);
  });

  test("asks its own service alone, and for nothing between load and comparison", async () => {
    page = await site.browser.open();
    const seen = requests(page);
    await page.goto(placeOf(site.run));
    await enter(page, site.key);
    await load(page);
    const urls = () => seen.map((request) => new URL(request.url()));
    // What workers ask for is seen too.
    await expect
      .poll(() => urls().map(({ pathname }) => pathname))
      .toContain("/assets/playground/ort-wasm-simd-threaded.wasm");
    await settled(page);
    expect(new Set(urls().map(({ origin }) => origin))).toEqual(new Set([site.harness.stack.url]));
    seen.length = 0;
    const policy = (await fetch(`${site.harness.stack.url}/assets/playground/worker.js`)).headers;
    expect(policy.get("content-security-policy")).toContain("default-src 'none'");
    expect(policy.get("content-security-policy")).toContain("connect-src 'self'");
    await ask(page);
    await ask(page, "And another one", 64);
    expect(seen.map((request) => request.url())).toEqual([]);
    await compare(page);
    const asked = () => seen.map((request) => `${request.method()} ${request.url()}`);
    await expect.poll(() => asked()[0]).toBe(`POST ${site.harness.stack.url}/v1/scores`);
    for (const one of asked().slice(1)) expect(one).toMatch(/GET .*\/v1\/jobs\//);
  });

  test("refuses a file that is damaged", async () => {
    await open();
    await page.route(/\/files\/weights-0\.bin$/, async (route) => {
      const answer = await route.fetch();
      const body = await answer.body();
      body[1000] = body[1000]! ^ 1;
      await route.fulfill({ response: answer, body });
    });
    await page.getByRole("button", { name: "Load it on wasm" }).click();
    const damaged = /A file of the export is damaged.*weights-0\.bin.*SHA-256/s;
    await expect.poll(() => page.getByRole("alert").innerText()).toMatch(damaged);
    await expect.poll(() => page.getByRole("button", { name: "Answer" }).count()).toBe(0);
    await page.unrouteAll();
    await page.getByRole("button", { name: "Try again" }).click();
    await ready(page).waitFor();
  });

  test("loads no byte of a model twice, and none that has changed on the disk", async () => {
    await opened();
    const seen = requests(page);
    const files = () => seen.filter((request) => request.url().includes("/files/"));
    await page.reload();
    await load(page);
    expect(files()).toHaveLength(0);
    await expect.poll(() => ready(page).innerText()).toContain("all of it kept here from before");
    await page.evaluate(`(async () => {
      const store = await caches.open("understudy-exports");
      for (const request of await store.keys()) await store.put(request, new Response(new Uint8Array(3)));
    })()`);
    await page.reload();
    await load(page);
    await expect.poll(() => files().length).toBeGreaterThan(0);
    await ask(page);
    await page.getByRole("button", { name: "Delete them" }).click();
    await page.getByText("are kept in this browser").waitFor({ state: "detached" });
    await expect.poll(() => page.evaluate("caches.keys().then((names) => names.length)")).toBe(0);
  });

  test("can be stopped, and lets a student go when another is chosen", async () => {
    await opened();
    // At once: the tiny student is done before a click from outside arrives.
    await page.evaluate(`new MutationObserver(() => {
      const button = [...document.querySelectorAll("button")].find(({ innerText }) => innerText === "Stop");
      if (document.querySelectorAll(".tokens .token").length > 3) button?.click();
    }).observe(document.body, { childList: true, subtree: true })`);
    await page.getByLabel("Prompt").fill(PROMPT);
    await page.getByLabel("At most").selectOption("512");
    await page.getByRole("button", { name: "Answer" }).click();
    await page.getByText("stopped by you").waitFor();
    expect(await page.locator(".tokens .token").count()).toBeLessThan(500);
    await expect.poll(() => page.workers().length).toBeGreaterThan(0);
    await page.getByLabel("Checkpoint").selectOption({ label: "step 2" });
    await expect.poll(() => page.workers().length).toBe(0);
    await expect.poll(() => page.url()).toContain("step=2");
    await load(page);
    await expect.poll(() => page.getByRole("button", { name: "Answer" }).count()).toBe(1);
  });

  test("a key that may only read runs a student, and is told what comparing needs", async () => {
    const { secret } = await site.harness.client.createKey({ name: "reader", role: "read" });
    page = await site.browser.open();
    await page.goto(placeOf(site.run));
    await enter(page, secret!);
    await load(page);
    await ask(page);
    await page.getByRole("button", { name: "Compare with the teacher" }).click();
    await expect.poll(() => page.getByRole("alert").innerText()).toMatch(/role/);
    await expect.poll(() => page.getByRole("button", { name: "Answer" }).count()).toBe(1);
  });

  test("says how to make an export where there is none", async () => {
    await open(`/playground?run=${site.bare}`);
    await page.getByText("has been exported yet").waitFor();
    await expect
      .poll(() => page.locator(".command").innerText())
      .toContain(`/v1/runs/${site.bare}/checkpoints/2/exports`);
    await page.getByLabel("Run").selectOption({ label: "exported (step 4)" });
    await page.getByRole("button", { name: "Load it on wasm" }).waitFor();
    await expect.poll(() => page.url()).toContain(site.run);
  });

  test("says what is wrong with a prompt, and goes on", async () => {
    await opened();
    await page.getByLabel("Prompt").fill("word ".repeat(700));
    await page.getByRole("button", { name: "Answer" }).click();
    await expect.poll(() => page.getByRole("alert").innerText()).toMatch(/context of 512/);
    await ask(page);
  });
}
