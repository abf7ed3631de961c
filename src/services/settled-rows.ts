// The rows of an evaluation, as its items are settled.
import type { Env } from "../env.ts";
import type { Database } from "../store/database.ts";
import { findDatasetRow } from "../store/datasets.ts";
import type { Row } from "../wire/datasets.ts";
import { readSplit } from "./datasets.ts";

interface Of {
  id: string;
  dataset: string;
  split: string;
  limit: number | null;
}

/** Finds an item's row with its place in the evaluation. */
export async function rowsOf(
  env: Env,
  db: Database,
  project: string,
  { id, dataset, split: name, limit }: Of,
): Promise<(item: string) => { row: Row; place: number }> {
  const found = await findDatasetRow(db, project, dataset);
  const split = found?.splits.find((candidate) => candidate.split === name);
  if (split === undefined) throw new Error(`evaluation ${id}: its split is gone`);
  const rows = new Map((await readSplit({ env }, split, limit)).map((row, place) => [row.id, { row, place }]));
  return (item) => {
    const known = rows.get(item);
    if (known === undefined) throw new Error(`evaluation ${id} has no item ${item}`);
    return known;
  };
}
