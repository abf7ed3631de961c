// Answers that the stack does not give by itself in a test: boards of other kinds, evaluations under way, faults.
import type { Page } from "playwright-core";
import type { MetricBoard } from "../../src/dashboard/answers/boards.ts";

export const boardOf = (dataset: string, changes: Partial<MetricBoard> = {}): MetricBoard => ({
  kind: "metric",
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
