// Fixed batches of an evaluation, cut at its creation: load never decides what is computed together.
import { EVALUATION_BATCH, MAX_BATCH_BYTES, MAX_EVALUATION_BYTES } from "../config.ts";
import { ApiError } from "../errors.ts";
import type { Row } from "../wire/datasets.ts";
import type { Generation } from "../wire/generation.ts";
import { assertStorable } from "./grade-given.ts";
import type { ResolvedModel } from "./models.ts";
import { assertFits } from "./score.ts";

/** A limit that leaves nothing out is no limit: it is the same board. */
export const effectiveLimit = (limit: number | null, rows: number): number | null =>
  limit === null || limit >= rows ? null : limit;

/** Where nothing is generated a seed only names the one record of an item. */
export const seedsOf = (generation: Generation | null): readonly number[] => generation?.seeds ?? [0];

/** What of a row a worker is sent. */
type Sent = (row: Row) => unknown;

const sentText = (row: Row, sent: Sent): string => JSON.stringify(sent(row));

/** By length of what is sent, then id, then seed. */
export function cut<I>(
  rows: readonly Row[],
  seeds: readonly number[],
  { sent, item }: { sent: Sent; item: (row: Row, seed: number) => I },
): { batch: number; items: I[] }[] {
  const sized = rows.map((row) => ({ row, bytes: new TextEncoder().encode(sentText(row, sent)).length }));
  sized.sort((a, b) => a.bytes - b.bytes || (a.row.id < b.row.id ? -1 : 1));
  const batches: { batch: number; items: I[] }[] = [];
  let room = 0;
  for (const { row, bytes } of sized) {
    for (const seed of seeds) {
      const batch = batches.at(-1);
      if (batch === undefined || batch.items.length === EVALUATION_BATCH || bytes > room) {
        batches.push({ batch: batches.length, items: [item(row, seed)] });
        room = MAX_BATCH_BYTES;
      } else {
        batch.items.push(item(row, seed));
      }
      room -= bytes;
    }
  }
  return batches;
}

interface Asked {
  models: readonly ResolvedModel[];
  seeds: readonly number[];
  sent: Sent;
  /** The field of the request that holds the evaluation's own, with a dot. */
  within?: string;
}

/** Refuses what could not be computed or kept. */
export function assertCuttable(rows: readonly Row[], { models, seeds, sent, within = "" }: Asked): void {
  if (new Set(seeds).size < seeds.length) {
    const param = `${within}generation.seeds`;
    throw new ApiError("invalid_request", `${param}: each seed may be given once.`, { param });
  }
  let bytes = 0;
  for (const row of rows) {
    assertFits(row.prompt, models, `dataset row ${row.id}`);
    assertStorable(row, "");
    bytes += 3 * sentText(row, sent).length * seeds.length;
  }
  if (bytes > MAX_EVALUATION_BYTES) {
    const param = `${within}limit`;
    const message = `${param}: the prompts of this evaluation are too many for one; set a lower limit.`;
    throw new ApiError("too_large", message, { param });
  }
}
