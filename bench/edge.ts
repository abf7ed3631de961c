// Scores without a GPU: how near, how fast, and against whom.
import { parseArgs } from "node:util";
import { requests } from "./edge/requests.ts";
import { withStudent } from "./edge/student.ts";
import type { Goal } from "./goal.ts";

export async function edge(args: string[]): Promise<Goal[]> {
  const { values } = parseArgs({
    args,
    options: { steps: { type: "string", default: "60" }, count: { type: "string", default: "5000" } },
  });
  return withStudent(Number(values.steps), (setting) => requests(setting, Number(values.count)));
}
