// Which of an evaluation's records are wanted, as conditions of SQL.
import { eq, sql } from "drizzle-orm";
import type { SQL } from "drizzle-orm";
import type { MetricName } from "../wire/evaluations.ts";
import { outcomeOf, records } from "./schema.ts";

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

/** `instr` and not LIKE: D1 takes patterns of 50 bytes, and no character of the text is a wildcard. */
const holds = (column: SQL, text: string): SQL => sql`instr(lower(${column}), lower(${text})) > 0`;

/** In a prompt of several turns the roles are no text of it. */
const mentions = (text: string): SQL => sql`(
  ${holds(sql`${records.response}`, text)}
  or exists (select 1 from json_tree(${records.prompt}) as part
    where part.type = 'text' and part.key is not 'role' and ${holds(sql`part.atom`, text)})
  or exists (select 1 from json_each(${records.references}) as part where ${holds(sql`part.value`, text)}))`;

export const conditions = (evaluation: string, { metric, outcome, changedFrom, text }: RecordFilter): SQL[] => [
  eq(records.evaluation, evaluation),
  ...(outcome === undefined ? [] : [sql`${outcomeOf(metric)} = ${sql.raw(outcome === "right" ? "1" : "0")}`]),
  ...(changedFrom === undefined ? [] : [changed(metric, changedFrom)]),
  ...(text === undefined ? [] : [mentions(text)]),
];
