// The leaderboard as a table, with each 95% interval drawn as a bar.
import type { Leaderboard, LeaderboardEntry } from "../src/wire/evaluations.ts";
import { bold } from "./terminal.ts";

const COLUMNS = 40;

/** `├──●──┤` on a line from 0 to 100. */
export function interval({ low, mean, high }: { low: number; mean: number; high: number }): string {
  const column = (percent: number) => Math.min(COLUMNS - 1, Math.round((percent / 100) * (COLUMNS - 1)));
  const [from, middle, to] = [column(low), column(mean), column(high)];
  return Array.from({ length: COLUMNS }, (_, i) => {
    if (i === middle) return "●";
    if (i === from) return "├";
    if (i === to) return "┤";
    return i > from && i < to ? "─" : "·";
  }).join("");
}

const probability = (p: number | null): string => {
  if (p === null) return "-";
  return p < 0.001 ? "< 0.001" : p.toFixed(3);
};

/** `names` gives readers' names for model ids. */
export function drawBoard(board: Leaderboard, names: Map<string, string>): string {
  const name = (entry: LeaderboardEntry) => names.get(entry.model) ?? entry.model_name ?? entry.model;
  const width = Math.max(5, ...board.data.map((entry) => name(entry).length));
  const head = `rank  group  ${"model".padEnd(width)}  exact match, 95% interval   0${" ".repeat(COLUMNS - 4)}100  p vs best`;
  const lines = board.data.map((entry) => {
    const mean = entry.mean.toFixed(1).padStart(5);
    const range = `[${entry.low.toFixed(1).padStart(5)}, ${entry.high.toFixed(1).padStart(5)}]`;
    const left = `${String(entry.rank).padStart(4)}  ${String(entry.group).padStart(5)}  ${name(entry).padEnd(width)}`;
    return `${left}  ${mean} % ${range}         ${interval(entry)}  ${probability(entry.p_vs_best).padStart(9)}`;
  });
  return [bold(head), ...lines].map((line) => `    ${line}`).join("\n");
}
