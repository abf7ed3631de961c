// Which of an evaluation's records are wanted, as conditions of SQL.
import { eq, sql } from "drizzle-orm";
import type { SQL } from "drizzle-orm";
import type { MetricName } from "../wire/evaluations.ts";
import { outcomeOf, records } from "./schema.ts";
import { holds, promptHolds } from "./text-search.ts";

export interface RecordFilter {
  metric: MetricName;
  outcome?: "right" | "wrong" | undefined;
  /** The id of another evaluation of the same items. */
  changedFrom?: string | undefined;
  text?: string | undefined;
}

/** Means of the same values in another order differ in rounding; they count as equal. */
const SAME = 1e-9;

/** An item's value is the mean over its seeds; null where none is graded, and null differs from nothing. */
const itemValue = (evaluation: SQL, metric: MetricName): SQL => sql`(
  select avg(of_item.metrics ->> ${sql.raw(`'${metric}'`)}) from records as of_item
  where of_item.evaluation = ${evaluation} and of_item.item = ${records.item})`;

const changed = (metric: MetricName, other: string): SQL =>
  sql`abs(${itemValue(sql`${records.evaluation}`, metric)} - ${itemValue(sql`${other}`, metric)}) > ${SAME}`;

const mentions = (text: string): SQL => sql`(
  ${holds(sql`${records.response}`, text)}
  or ${promptHolds(sql`${records.prompt}`, text)}
  or exists (select 1 from json_each(${records.references}) as part where ${holds(sql`part.value`, text)}))`;

export const conditions = (evaluation: string, { metric, outcome, changedFrom, text }: RecordFilter): SQL[] => [
  eq(records.evaluation, evaluation),
  ...(outcome === undefined ? [] : [sql`${outcomeOf(metric)} = ${sql.raw(outcome === "right" ? "1" : "0")}`]),
  ...(changedFrom === undefined ? [] : [changed(metric, changedFrom)]),
  ...(text === undefined ? [] : [mentions(text)]),
];
