// One stack at a time may use a folder: two workerds on one SQLite file would spoil it.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A mistake of the user's, or of their machine: the message is all that they need. */
export class UserError extends Error {}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function holder(path: string): number | null {
  try {
    const pid = Number(readFileSync(path, "utf8"));
    return pid > 0 && pid !== process.pid && isAlive(pid) ? pid : null;
  } catch {
    return null;
  }
}

/** Takes the folder for this process, or throws; the result gives it back. */
export function hold(folder: string): () => void {
  const path = join(folder, "stack.pid");
  const pid = holder(path);
  if (pid !== null)
    throw new UserError(`a stack is running here already (process ${pid}): stop it first, for example with Ctrl-C`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, String(process.pid));
  return () => rmSync(path, { force: true });
}
