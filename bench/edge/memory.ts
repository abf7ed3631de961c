// Memory of a workerd with the student's session, less what it had before.
import { readFileSync } from "node:fs";
import type { Goal } from "../goal.ts";
import type { Student } from "./exports.ts";
import { refusalOf, stored, using } from "./scorer.ts";
import { Texts } from "./texts.ts";

/** MB. */
const GOAL = 96;
/** Tokens of the texts that are scored. */
const LENGTHS = [16, 64, 256];
const SEED = 43;

const PAGE_KB = 1024;
const MB = 1_000_000;

/** A figure of /proc/PID/status, bytes. */
function status(pid: number, name: string): number {
  const [, kilobytes] =
    new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  if (kilobytes === undefined) throw new Error(`/proc/${pid}/status has no ${name}`);
  return Number(kilobytes) * PAGE_KB;
}

export interface Mapped {
  /** The largest that can be written and is no file's: the runtime's heap, once there is one. */
  heap: number;
  /** What can be executed and is no file's: compiled code. */
  code: number;
}

/** Resident bytes of a process by kind, from its /proc/PID/smaps. */
export function mapped(smaps: string): Mapped {
  const found: Mapped = { heap: 0, code: 0 };
  let kind: keyof Mapped | null = null;
  for (const line of smaps.split("\n")) {
    const [, rights, file] = /^[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \d+\s*(.*)$/.exec(line) ?? [];
    if (rights !== undefined) {
      kind = file !== "" ? null : rights.includes("x") ? "code" : rights.startsWith("rw") ? "heap" : null;
    }
    const [, kilobytes] = /^Rss:\s+(\d+) kB$/.exec(line) ?? [];
    if (kilobytes === undefined) continue;
    const bytes = Number(kilobytes) * PAGE_KB;
    if (kind === "heap") found.heap = Math.max(found.heap, bytes);
    if (kind === "code") found.code += bytes;
  }
  return found;
}

export async function memory(student: Student): Promise<Goal[]> {
  const exported = await student.exported("int4");
  const texts = await Texts.of(exported.folder, SEED);
  const { before, after, heap, code } = await stored(exported, (start, artifact) =>
    using(start, async (scorer) => {
      // Asked for a model that it refuses, the scorer has its isolate and no session.
      const huge = { ...artifact, model: { ...artifact.model, vocab_size: artifact.model.vocab_size * 1000 } };
      if ((await refusalOf(scorer, huge, texts.next(16))) === null) throw new Error("a huge model was not refused");
      const before = status(scorer.pid, "VmHWM");
      for (const tokens of LENGTHS) {
        const refusal = await refusalOf(scorer, artifact, texts.next(tokens));
        if (refusal !== null) throw new Error(refusal);
      }
      const found = mapped(readFileSync(`/proc/${scorer.pid}/smaps`, "utf8"));
      return { before, after: status(scorer.pid, "VmHWM"), ...found };
    }),
  );
  const value = (after - before) / MB;
  console.log(
    `memory of workerd with an int4 session: ${(after / MB).toFixed(0)} MB at its peak, ${(before / MB).toFixed(0)} MB without one; ` +
      `of what is resident the runtime's heap is ${(heap / MB).toFixed(0)} MB, compiled code ${(code / MB).toFixed(0)} MB`,
  );
  return [{ what: "peak memory of a session, MB", value, goal: GOAL, met: value <= GOAL }];
}
