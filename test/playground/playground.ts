// The playground in a real Chromium, against a real stack: a tiny student, distilled and exported by a real worker.
import type { Locator, Page, Request } from "playwright-core";
import type { ScoreList } from "../../src/wire/scores.ts";
import { enterKey, startBrowser } from "../dashboard/browser.ts";
import type { Opened } from "../dashboard/browser.ts";
import { dataset, startHarness } from "../e2e/harness.ts";
import type { Harness } from "../e2e/harness.ts";

export interface Site {
  harness: Harness;
  browser: Opened;
  /** Of a run with exports of its steps 2 and 4. */
  run: string;
  /** Of one that has none. */
  bare: string;
  key: string;
  close(): Promise<void>;
}

export const PRECISION = "fp32";

export async function startSite(): Promise<Site> {
  // Wide enough for heads of a multiple of 8.
  const harness = await startHarness(64);
  harness.startWorker();
  const { client, stack } = harness;
  await client.createModel({ name: "tiny", source: { type: "local", name: "tiny" } });
  await client.modelReady("tiny");
  await client.uploadDataset("words", dataset(16, 4));
  const asked = {
    teacher: "tiny",
    student: { prune: { model: "tiny", keep_layers: 2 } },
    dataset: "words",
    objective: { type: "dpkd" as const },
    optimizer: { learning_rate: 0.01, total_steps: 4 },
    batch_size: 4,
    checkpoint_every: 2,
  };
  const { id: bare } = await client.runs.create({ name: "not-exported", ...asked });
  const { id: run } = await client.runs.create({ name: "exported", ...asked });
  await (await client.runs.takeSteps(run, { to: 4 })).finished();
  await (await client.runs.takeSteps(bare, { to: 2 })).finished();
  for (const step of [2, 4]) await client.runs.export(run, step, PRECISION);
  const browser = await startBrowser(stack.url);
  return {
    harness,
    browser,
    run,
    bare,
    key: stack.keys.admin,
    async close() {
      await browser.close();
      await harness.stop();
    },
  };
}

export const placeOf = (run: string, step = 4): string => `/playground?run=${run}&step=${step}&precision=${PRECISION}`;

export const enter = (page: Page, key: string): Promise<void> => enterKey(page, key, "Open the playground");

/** Waits for `sign`; throws what the page says instead, if it says that something went wrong. */
async function until(page: Page, sign: Locator): Promise<void> {
  const alert = page.getByRole("alert");
  await sign.or(alert).first().waitFor();
  if ((await alert.count()) > 0) throw new Error(await alert.first().innerText());
}

export const ready = (page: Page): Locator => page.getByRole("status").filter({ hasText: "Ready on" });

/** Loads what the page shows, and waits until it can be asked. */
export async function load(page: Page, provider = "wasm"): Promise<void> {
  await page.getByRole("button", { name: `Load it on ${provider}` }).click();
  await until(page, ready(page));
}

export const PROMPT = "Say the word red, and nothing else.";

export async function ask(page: Page, prompt = PROMPT, most = 32): Promise<void> {
  await page.getByLabel("Prompt").fill(prompt);
  await page.getByLabel("At most").selectOption(String(most));
  await page.getByRole("button", { name: "Answer" }).click();
  await until(page, page.getByText(/of prompt read in/));
}

export const response = (page: Page): Locator => page.getByRole("textbox", { name: /^Response/ });

export async function compare(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Compare with the teacher" }).click();
  await until(page, page.getByText("Implicit reward of the response"));
}

export interface Row {
  id: number;
  student: number;
  teacher: number;
  reward: number;
}

const number = (text: string): number => Number(text.replace("\u2212", "-"));

/** Opens the table of a comparison, or closes it. */
export const toggleTable = (page: Page): Promise<void> => page.getByText("The same as a table").click();

/** What the table of a comparison shows. */
export async function rows(page: Page): Promise<Row[]> {
  const cells = await page
    .locator(".shares tbody tr")
    .evaluateAll((found) => found.map((row) => [...row.querySelectorAll("td")].map((cell) => cell.textContent ?? "")));
  return cells.map((texts) => {
    const [id = NaN, student = NaN, teacher = NaN, reward = NaN] = texts.map(number);
    return { id, student, teacher, reward };
  });
}

/** Everything that the page and its workers ask for, from now on. */
export function requests(page: Page): Request[] {
  const seen: Request[] = [];
  page.context().on("request", (request) => seen.push(request));
  return seen;
}

/** What the pool says of a response to the prompt. */
export const pooled = (site: Site, of: string, step = 4): Promise<ScoreList> =>
  site.harness.client.scores({
    teacher: "tiny",
    student: `${site.run}@${step}`,
    prompt: PROMPT,
    responses: [of],
    return_tokens: true,
    compute: "pool",
  });
