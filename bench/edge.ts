// Scores without a GPU: how near, how fast, and against whom.
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { inRoot } from "../scripts/paths.ts";
import { UserError } from "../scripts/stack/hold.ts";
import { accuracy } from "./edge/accuracy.ts";
import { crossover } from "./edge/crossover.ts";
import { exactMatches } from "./edge/exact-match.ts";
import { Student } from "./edge/exports.ts";
import { latency } from "./edge/latency.ts";
import { memory } from "./edge/memory.ts";
import { requests } from "./edge/requests.ts";
import { download, withService } from "./edge/service.ts";
import type { Setting } from "./edge/service.ts";
import { transformersJs } from "./edge/transformers-js.ts";
import type { Goal } from "./goal.ts";

interface Options {
  /** Requests with known scores. */
  count: number;
  /** The folder with real data. */
  data: string;
}

/** Parts that ask a service; the student's checkpoint is in a folder too. */
const OF_SERVICE: Record<string, (setting: Setting, checkpoint: string, options: Options) => Promise<Goal[]>> = {
  requests: (setting, _checkpoint, { count }) => requests(setting, count),
  crossover: (setting, checkpoint) => crossover(setting, checkpoint),
};
/** Parts that are about the student's files alone. */
const OF_FILES: Record<string, (student: Student, options: Options) => Promise<Goal[]>> = {
  latency,
  memory,
  accuracy: (student, { data }) => accuracy(student, data),
  "exact-match": exactMatches,
  "transformers.js": transformersJs,
};

function wanted(only: string | undefined): string[] {
  const all = [...Object.keys(OF_SERVICE), ...Object.keys(OF_FILES)];
  const names = only?.split(",") ?? all;
  const unknown = names.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new UserError(`--only ${unknown}: the parts are ${all.join(", ")}`);
  return names;
}

export async function edge(args: string[]): Promise<Goal[]> {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string" },
      checkpoint: { type: "string" },
      save: { type: "string" },
      count: { type: "string", default: "5000" },
      data: { type: "string", default: inRoot("..", "shared", "data") },
    },
  });
  const parts = wanted(values.only);
  const options = { count: Number(values.count), data: values.data };
  const folder = mkdtempSync(join(tmpdir(), "understudy-bench-"));
  const checkpoint = values.checkpoint ?? join(folder, "checkpoint");
  const goals: Goal[] = [];
  try {
    const served = Object.entries(OF_SERVICE).filter(([name]) => parts.includes(name));
    if (values.checkpoint === undefined || served.length > 0) {
      await withService(join(folder, "service"), values.checkpoint, async (setting) => {
        if (values.checkpoint === undefined) await download(setting, checkpoint);
        if (values.save !== undefined) cpSync(checkpoint, values.save, { recursive: true });
        for (const [, part] of served) goals.push(...(await part(setting, checkpoint, options)));
      });
    }
    const student = new Student(checkpoint, join(folder, "exports"));
    for (const [name, part] of Object.entries(OF_FILES)) {
      if (parts.includes(name)) goals.push(...(await part(student, options)));
    }
    return goals;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
