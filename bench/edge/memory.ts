// Memory of a workerd with the student's session, less what it had before.
import { readFileSync } from "node:fs";
import type { Goal } from "../goal.ts";
import type { ScorerProcess } from "../../scripts/stack/scorer.ts";
import type { Exported, Student } from "./exports.ts";
import { refusalOf, stored, using } from "./scorer.ts";
import { Texts } from "./texts.ts";

/** MB. */
const GOAL = 96;
/** Tokens of the texts that are scored. */
const LENGTHS = [16, 64, 256];
const SEED = 43;

const KIB = 1024;
const MB = 1_000_000;

/** A figure of /proc/PID/status, bytes. */
function status(pid: number, name: string): number {
  const [, kilobytes] =
    new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  if (kilobytes === undefined) throw new Error(`/proc/${pid}/status has no ${name}`);
  return Number(kilobytes) * KIB;
}

export interface Mapped {
  /** The WebAssembly memory: writable, with the rest of its 4 GiB reserved behind it. */
  heap: number;
  /** What can be executed and is no file's: compiled code. */
  code: number;
}

const RESERVED = 2 ** 32;
const ENTRY = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+ *(.*)\n(?:.*\n)*?Rss: +(\d+) kB$/gm;

/** Resident bytes of a process by kind, from its /proc/PID/smaps. */
export function mapped(smaps: string): Mapped {
  const entries = [...smaps.matchAll(ENTRY)].map(([, start = "", end = "", rights = "", file = "", kilobytes]) => ({
    start: parseInt(start, 16),
    end: parseInt(end, 16),
    rights,
    file,
    resident: Number(kilobytes) * KIB,
  }));
  const found: Mapped = { heap: 0, code: 0 };
  for (const [i, { start, end, rights, file, resident }] of entries.entries()) {
    if (file !== "") continue;
    if (rights.includes("x")) found.code += resident;
    const next = entries[i + 1];
    const reserves = next?.start === end && next.rights.startsWith("---") && next.end - start >= RESERVED;
    if (rights.startsWith("rw") && reserves) found.heap += resident;
  }
  return found;
}

interface Found extends Mapped {
  /** Peaks: of a scorer without a session, of one whose process has read the files for nobody, of one with a session. */
  idle: number;
  read: number;
  peak: number;
}

async function measured(exported: Exported): Promise<Found> {
  const texts = await Texts.of(exported.folder, SEED);
  return stored(exported, async (start, artifact) => {
    const peakOf = ({ pid }: ScorerProcess) => status(pid, "VmHWM");
    // Asked for a model that it refuses, the scorer has its isolate and no session.
    const huge = { ...artifact, model: { ...artifact.model, hidden_size: artifact.model.hidden_size * 1000 } };
    const idle = async (scorer: ScorerProcess): Promise<number> => {
      if ((await refusalOf(scorer, huge, texts.next(16))) === null) throw new Error("a huge model was not refused");
      return peakOf(scorer);
    };
    const read = await using(start, async (scorer) => {
      await idle(scorer);
      await scorer.read(artifact.files.flatMap(({ parts }) => parts.map(({ key }) => key)));
      return peakOf(scorer);
    });
    return using(start, async (scorer) => {
      const before = await idle(scorer);
      for (const tokens of LENGTHS) {
        const refusal = await refusalOf(scorer, artifact, texts.next(tokens));
        if (refusal !== null) throw new Error(refusal);
      }
      return {
        idle: before,
        read,
        peak: peakOf(scorer),
        ...mapped(readFileSync(`/proc/${scorer.pid}/smaps`, "utf8")),
      };
    });
  });
}

export async function memory(student: Student): Promise<Goal[]> {
  const { idle, read, peak, heap, code } = await measured(await student.exported("int4"));
  const value = (peak - idle) / MB;
  const megabytes = (bytes: number) => `${(bytes / MB).toFixed(0)} MB`;
  console.log(
    `memory of workerd: ${megabytes(idle)} with an idle scorer, ${megabytes(peak)} at its peak with an int4 session. ` +
      `Of these the WebAssembly memory is ${megabytes(heap)}, compiled code ${megabytes(code)}; the simulated bucket, which ` +
      `is in the same process, takes ${megabytes(read - idle)} to read the files alone`,
  );
  return [{ what: "peak memory of a session, MB", value, goal: GOAL, met: value <= GOAL }];
}
