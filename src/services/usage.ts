// What a project used: tokens by day, bytes kept.
import { bytesStored, listUsage } from "../store/usage.ts";
import type { UsageRow } from "../store/usage.ts";
import type { Usage } from "../wire/jobs.ts";
import type { Context } from "./context.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** A meter without a row was not used that day. */
function dayUsage(day: string, rows: readonly UsageRow[]): Usage["data"][number] {
  const total = (meter: string): number => rows.find((row) => row.day === day && row.meter === meter)?.total ?? 0;
  return {
    day,
    tokens_scored: total("tokens_scored"),
    tokens_generated: total("tokens_generated"),
    tokens_trained: total("tokens_trained"),
  };
}

/** The last `days` days (UTC) on which anything was used, the newest first. */
export async function getUsage(ctx: Context, days: number): Promise<Usage> {
  const since = new Date(Date.now() - (days - 1) * DAY_MS).toISOString().slice(0, 10);
  const rows = await listUsage(ctx.db, ctx.project.id, since);
  const used = [...new Set(rows.map(({ day }) => day))];
  return {
    object: "usage",
    data: used.map((day) => dayUsage(day, rows)),
    bytes_stored: await bytesStored(ctx.db, ctx.project.id),
  };
}
