// One stack at a time may use a folder: two workerds on one SQLite file would spoil it.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** A mistake of the user's, or of their machine: the message is all that they need. */
export class UserError extends Error {}

/** A killed workerd has closed its files after this long, ms. */
const CLEAR_MS = 500;

/** The supervisor, and the workerd that it started: that one outlives a supervisor that is killed. */
const Holder = z.strictObject({ supervisor: z.int(), edge: z.array(z.int()) });
type Holder = z.infer<typeof Holder>;

function output(program: string, ...args: string[]): string {
  return spawnSync(program, args, { encoding: "utf8" }).stdout || "";
}

/** A process's program: from /proc, or from `ps` where there is none; empty when it is gone. */
function programOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return output("ps", "-p", String(pid), "-o", "comm=").trim();
  }
}

/** Processes of this program that `pid` started. */
export function childrenOf(pid: number, program: string): number[] {
  let children: string;
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  } catch {
    children = output("pgrep", "-P", String(pid));
  }
  const pids = children
    .split(/\s+/)
    .map(Number)
    .filter((child) => child > 0);
  return pids.filter((child) => programOf(child).endsWith(program));
}

function read(path: string): Holder | null {
  try {
    return Holder.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return null;
  }
}

/** Ends what a killed supervisor left behind. */
async function clear({ edge }: Holder): Promise<void> {
  const left = edge.filter((pid) => programOf(pid).endsWith("workerd"));
  for (const pid of left) process.kill(pid, "SIGKILL");
  if (left.length > 0) await new Promise((done) => setTimeout(done, CLEAR_MS));
}

/** Takes the folder for this process, or throws. `record` notes the processes to end if this one is killed. */
export async function hold(folder: string): Promise<{ record: (edge: number[]) => void; release: () => void }> {
  const path = join(folder, "stack.json");
  const holder = read(path);
  if (holder !== null && holder.supervisor !== process.pid && /^(node|MainThread)/.test(programOf(holder.supervisor))) {
    throw new UserError(
      `a stack is running here already (process ${holder.supervisor}): stop it first, for example with Ctrl-C`,
    );
  }
  if (holder !== null) await clear(holder);
  mkdirSync(folder, { recursive: true });
  const record = (edge: number[]) => writeFileSync(path, JSON.stringify({ supervisor: process.pid, edge }));
  record([]);
  return { record, release: () => rmSync(path, { force: true }) };
}
