// Stands in for the answers of the API that this page reads and that its own service does not give yet: the list of
// boards, and records by filter. Over the service's real records, so that only the filters are the stand-in's own.
import type { Page, Route } from "playwright-core";
import type { Board, Graded, List } from "../../src/dashboard/answers.ts";

export const boardOf = (dataset: string, changes: Partial<Board> = {}): Board => ({
  dataset,
  dataset_name: "short-answers",
  split: "test",
  template: null,
  limit: null,
  pattern: null,
  models: 6,
  newest_at: "2026-01-01T00:00:00.000Z",
  ...changes,
});

export const listOf = <T>(data: T[], has_more = false) => ({
  object: "list",
  data,
  has_more,
  first_id: null,
  last_id: null,
});

export async function fulfil(page: Page, url: RegExp, json: unknown): Promise<void> {
  await page.route(url, (route) => route.fulfill({ json }));
}

export async function serveBoards(page: Page, dataset: string, models: number): Promise<void> {
  await fulfil(page, /\/v1\/boards\?/, listOf([boardOf(dataset, { models })]));
}

async function recordsOf(route: Route, evaluation: string): Promise<Graded[]> {
  const url = new URL(`/v1/evaluations/${evaluation}/records?limit=100`, route.request().url());
  const response = await route.fetch({ url: url.href });
  const list: List<Graded> = await response.json();
  return list.data;
}

const isOutcome = (record: Graded, metric: string, outcome: string | null): boolean => {
  const value = record.metrics[metric] ?? null;
  return outcome === null || (value !== null && (value === 100) === (outcome === "right"));
};

const mentions = ({ prompt, response, references }: Graded, text: string): boolean =>
  JSON.stringify([prompt, response, references]).toLowerCase().includes(text.toLowerCase());

function beside(records: readonly Graded[], others: readonly Graded[], metric: string): Graded[] {
  return records.flatMap((record) => {
    const other = others.find(({ id }) => id === record.id);
    if (other === undefined || other.metrics[metric] === record.metrics[metric]) return [];
    return [{ ...record, other: { response: other.response, metrics: other.metrics } }];
  });
}

async function answerRecords(route: Route): Promise<void> {
  const { pathname, searchParams: query } = new URL(route.request().url());
  const metric = query.get("metric") ?? "exact_match";
  const from = query.get("changed_from");
  const own = await recordsOf(route, pathname.split("/")[3] ?? "");
  const compared = from === null ? own : beside(own, await recordsOf(route, from), metric);
  const wanted = compared.filter(
    (record) => isOutcome(record, metric, query.get("outcome")) && mentions(record, query.get("q") ?? ""),
  );
  const start = wanted.findIndex(({ id }) => id === query.get("after")) + 1;
  const end = start + Number(query.get("limit") ?? 20);
  await route.fulfill({ json: listOf(wanted.slice(start, end), wanted.length > end) });
}

export async function serveRecords(page: Page): Promise<void> {
  await page.route(/\/v1\/evaluations\/ev_\w+\/records\?/, answerRecords);
  await page.route(/\/v1\/evaluations\/ev_\w+\/records\.(csv|jsonl)$/, (route) =>
    route.request().headers().authorization?.startsWith("Bearer us_") === true
      ? route.fulfill({ body: "a file" })
      : route.fulfill({ status: 401 }),
  );
}
