// Judged pairs page by page: all of a preference evaluation, or those that a filter leaves.
import { and, asc, eq, sql } from "drizzle-orm";
import type { SQL } from "drizzle-orm";
import type { PreferenceOutcome } from "../wire/preference-evaluations.ts";
import type { Database } from "./database.ts";
import { findPage } from "./item-pages.ts";
import type { Window } from "./item-pages.ts";
import type { PreferenceRecordRow } from "./preference-records.ts";
import { preferenceRecords } from "./schema.ts";
import { holds, promptHolds } from "./text-search.ts";

export interface PreferenceRecordFilter {
  outcome?: PreferenceOutcome | undefined;
  text?: string | undefined;
}

const { prompt, chosen, rejected, margin } = preferenceRecords;

const BY_MARGIN: Record<PreferenceOutcome, SQL> = {
  right: sql`${margin} > 0`,
  wrong: sql`${margin} < 0`,
  tie: sql`${margin} = 0`,
};

const responseHolds = (side: SQL, text: string): SQL => holds(sql`${side} ->> 'response'`, text);

const mentions = (text: string): SQL => sql`(
  ${promptHolds(sql`${prompt}`, text)}
  or ${responseHolds(sql`${chosen}`, text)} or ${responseHolds(sql`${rejected}`, text)})`;

/** The records of the window that the filter leaves. */
export async function readPreferenceRecords(
  db: Database,
  evaluation: string,
  { outcome, text }: PreferenceRecordFilter,
  window: Window,
): Promise<{ rows: PreferenceRecordRow[]; more: boolean }> {
  const mine = eq(preferenceRecords.evaluation, evaluation);
  const conditions = [
    mine,
    ...(outcome === undefined ? [] : [BY_MARGIN[outcome]]),
    ...(text === undefined ? [] : [mentions(text)]),
  ];
  const size = sql`length(${prompt}) + length(${chosen}) + length(${rejected})`;
  const { within, more } = await findPage(db, preferenceRecords, { conditions, size }, window);
  if (within === null) return { rows: [], more };
  const rows = await db
    .select()
    .from(preferenceRecords)
    .where(and(mine, within))
    .orderBy(asc(preferenceRecords.position));
  return { rows, more };
}
