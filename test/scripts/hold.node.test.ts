// One stack a folder; a killed one leaves nothing behind that runs.
import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { UserError, childrenOf, hold } from "../../scripts/stack/hold.ts";
import { exited } from "../../scripts/stack/worker.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "understudy-hold-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a folder in use by a live process is refused, in one line that says what to do", async () => {
  writeFileSync(join(folder, "stack.json"), JSON.stringify({ supervisor: process.ppid, edge: [] }));
  const refused = await hold(folder).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(UserError);
  expect(String(refused)).toContain(`process ${process.ppid}`);
});

test("the edge of a supervisor that was killed is ended; a process of another name is not", async () => {
  const program = join(folder, "workerd");
  copyFileSync("/bin/sleep", program);
  const edge = spawn(program, ["60"]);
  const other = spawn("/bin/sleep", ["60"]);
  expect(childrenOf(process.pid, "workerd")).toEqual([edge.pid]);
  const dead = spawn("/bin/true");
  await exited(dead);
  writeFileSync(join(folder, "stack.json"), JSON.stringify({ supervisor: dead.pid, edge: [edge.pid, other.pid] }));
  const { release } = await hold(folder);
  await exited(edge);
  expect(edge.signalCode).toBe("SIGKILL");
  expect(other.exitCode ?? other.signalCode).toBeNull();
  other.kill();
  release();
  await expect(hold(folder)).resolves.toBeDefined();
});
