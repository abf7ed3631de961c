// node test/upgrade/make-fixture.ts [--commit 571229b] [--out FILE]: what the version of a commit stores, made by its own stack and
// killed in the middle; with it, what that stack makes of it afterwards.
import { deepStrictEqual } from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { ROOT } from "../../scripts/paths.ts";
import { Expected, MAX_BYTES, archiveOf } from "./fixture.ts";
import { closeLogs, copyState, mentions, pack } from "./maker/files.ts";
import { pythonPath } from "./maker/release.ts";
import { openWorkTree } from "./maker/work-tree.ts";
import type { WorkTree } from "./maker/work-tree.ts";
import { Outcome } from "./outcome.ts";
import { databaseWith, lacking, readStored, rows } from "./stored.ts";

/** Crashes that are tried: each falls somewhere else. */
const TRIES = 4;

const { commit: revision, out } = parseArgs({
  options: { commit: { type: "string", default: "571229b" }, out: { type: "string" } },
}).values;

const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());

/** Runs a program in the tree, with its worker in Python's path; its standard output. workerd takes the bundle only from below
 * the current folder. What killed processes leave in the temporary folder goes with the work tree. */
async function run({ tree, folder }: WorkTree, program: string, ...args: string[]): Promise<string> {
  const temporary = join(folder, "tmp");
  mkdirSync(temporary, { recursive: true });
  const child = spawn(program, args, {
    cwd: tree,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, PYTHONPATH: pythonPath(tree), TMPDIR: temporary },
  });
  const stop = () => child.kill();
  stopping.signal.addEventListener("abort", stop);
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  const status = await new Promise<number | null>((done, fail) => child.on("error", fail).on("close", done));
  stopping.signal.removeEventListener("abort", stop);
  stopping.signal.throwIfAborted();
  if (status !== 0) throw new Error(`${args[0] ?? program} ended with ${status}`);
  return output;
}

/** The last line of a program of `maker/`, parsed. */
async function make<T>(schema: z.ZodType<T>, workTree: WorkTree, name: string, ...args: string[]): Promise<T> {
  const program = join(import.meta.dirname, "maker", name);
  const output = await run(workTree, process.execPath, program, workTree.tree, ...args);
  return schema.parse(JSON.parse(output.trim().split("\n").at(-1) ?? ""));
}

const Crash = z.object({ killed_at: z.int(), admin: z.string(), reader: z.string() });
type Crash = z.infer<typeof Crash>;

async function crash(workTree: WorkTree, state: string, tiny: string): Promise<Crash> {
  for (let tried = 1; ; tried += 1) {
    rmSync(state, { recursive: true, force: true });
    console.log(`running until the crash (try ${tried} of ${TRIES})`);
    try {
      return await make(Crash, workTree, "crash.ts", state, tiny);
    } catch (error) {
      stopping.signal.throwIfAborted();
      if (tried === TRIES) throw error;
      console.error(error);
    }
  }
}

/** What the tree's stack makes of a copy of the state. */
async function finish(workTree: WorkTree, { state, tiny }: { state: string; tiny: string }): Promise<Outcome> {
  console.log("finishing a copy of it");
  const copy = join(workTree.folder, "finished");
  copyState(state, copy);
  const outcome = await make(Outcome, workTree, "finish.ts", copy, tiny);
  const { outbox } = readStored(copy);
  if (outbox > 0) throw new Error(`D1 was not told ${outbox} things`);
  return outcome;
}

/** Who the state is of. */
function readOwners(state: string): Pick<Expected, "project" | "keys" | "fingerprint"> {
  const record = databaseWith(join(state, "d1"), "projects");
  const pool = databaseWith(join(state, "pool"), "outbox");
  const Worker = z.object({ fingerprint: z.string() });
  const [project] = rows(record, Expected.shape.project, "SELECT id, name FROM projects");
  const [worker] = rows(pool, Worker, "SELECT fingerprint FROM workers");
  if (project === undefined || worker === undefined) throw new Error("the state has no project or no worker");
  return {
    project,
    keys: rows(record, Expected.shape.keys.element, "SELECT id, name, role FROM keys ORDER BY id"),
    fingerprint: Expected.shape.fingerprint.parse(JSON.parse(worker.fingerprint)),
  };
}

/** Throws where the fixture is not fit to be committed. */
function check(fixture: string, archive: string, killedAt: number): void {
  const missing = lacking(readStored(join(fixture, "state")), killedAt);
  if (missing.length > 0) throw new Error(`the fixture lacks ${missing.join("; ")}`);
  const local = mentions(fixture, ["/tmp/", `${tmpdir()}/`, `${ROOT}/`, `${dirname(ROOT)}/`, `${homedir()}/`]);
  if (local.length > 0) throw new Error(`files name folders of this machine: ${local.join(", ")}`);
  const { size } = statSync(archive);
  if (size > MAX_BYTES) throw new Error(`${archive} has ${size} bytes, more than ${MAX_BYTES}`);
  console.log(`${archive}: ${size} bytes`);
}

async function makeFixture(workTree: WorkTree): Promise<void> {
  const { commit, tree, folder } = workTree;
  const { version } = z
    .object({ version: z.string() })
    .parse(JSON.parse(readFileSync(join(tree, "package.json"), "utf8")));
  const archive = resolve(out ?? archiveOf(version));
  const fixture = join(folder, "fixture");
  const [state, tiny] = [join(fixture, "state"), join(fixture, "tiny")];
  mkdirSync(fixture);
  const python = join(tree, ".venv", "bin", "python");
  await run(workTree, python, join(tree, "test", "e2e", "tiny_model.py"), tiny, "16");
  const { killed_at, ...secrets } = await crash(workTree, join(folder, "stack"), tiny);
  copyState(join(folder, "stack"), state);
  closeLogs(state);

  const outcome = await finish(workTree, { state, tiny });
  // What two undisturbed stacks disagree on cannot be expected of a third.
  deepStrictEqual(await finish(workTree, { state, tiny }), outcome);

  const expected: Expected = { version, commit, killed_at, ...readOwners(state), secrets, outcome };
  writeFileSync(join(fixture, "expected.json"), `${JSON.stringify(expected, null, 1)}\n`);
  mkdirSync(dirname(archive), { recursive: true });
  pack(fixture, archive);
  check(fixture, archive, killed_at);
}

const workTree = openWorkTree(revision);
try {
  await makeFixture(workTree);
} finally {
  workTree.remove();
}
