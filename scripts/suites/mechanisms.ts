// What protects the service, removed one at a time: each removal must make a test fail.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { z } from "zod";
import { ROOT, command, inRoot } from "../paths.ts";
import { start } from "./child.ts";
import { nothing } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";
import { Screen } from "./screen.ts";

interface Mechanism {
  name: string;
  file: string;
  /** Text that stands in the file once, and what it becomes without the mechanism. */
  text: string;
  without: string;
  project: "pool" | "workers";
  tests: string[];
}

const pool = (name: string, file: string, text: string, without: string, ...tests: string[]): Mechanism => ({
  name,
  file: `src/pool/${file}`,
  text,
  without,
  project: "pool",
  tests: tests.map((test) => `test/pool/${test}.test.ts`),
});

const edge = (name: string, file: string, text: string, without: string, ...tests: string[]): Mechanism => ({
  name,
  file: `src/${file}`,
  text,
  without,
  project: "workers",
  tests: tests.map((test) => `test/${test}.test.ts`),
});

const MECHANISMS: Mechanism[] = [
  pool(
    "a lease belongs to its boot",
    "frames/held.ts",
    "lease?.boot !== worker.boot || lease.fence",
    "lease === null || lease.fence",
    "guards",
  ),
  pool(
    "only the newest socket speaks for a boot",
    "frames/index.ts",
    "worker?.socket !== from.socket",
    "worker === null",
    "guards",
  ),
  pool("a stale fence is refused", "frames/held.ts", "lease.fence !== frame.fence ||", "", "recovery", "guards"),
  pool(
    "a lease past its time is nobody's",
    "frames/held.ts",
    "(turn.judges && turn.now >= lease.ends)",
    "false",
    "guards",
  ),
  pool(
    "a step follows the last",
    "journal.ts",
    'if (step.n !== head + 1 || step.n > to) return "gap";',
    "",
    "journal",
    "policy",
  ),
  pool(
    "a step names the hash before it",
    "journal.ts",
    'if (headHash !== null && step.prev !== headHash) return "gap";',
    "",
    "journal",
    "policy",
  ),
  pool(
    "a batch is committed once",
    "frames/work.ts",
    'if (batch.committed) return reply("duplicate");',
    "",
    "evaluations",
  ),
  pool(
    "what has ended stays so",
    "endings.ts",
    "if (before === null || !jobMay(before.status, ending.status)) return;",
    "",
    "guards",
  ),
  pool(
    "a job is retried once",
    "requests/jobs.ts",
    "if (retry !== null) return",
    "if (retry === undefined) return",
    "states",
  ),
  pool(
    "an output answers its question",
    "frames/work.ts",
    "if (problem !== null) {",
    "if (problem === undefined) {",
    "answers",
  ),
  pool(
    "later entries of a topic wait for one that failed",
    "tables/outbox.ts",
    "topic = ? AND seq >= ? AND next_at < ?",
    "topic = ? AND seq = ? AND next_at < ?",
    "outbox",
    "guards",
  ),
  pool("an alarm that fails is set again", "shell.ts", "      await this.#ctx.storage.setAlarm(at);\n", "", "guards"),
  pool(
    "an alarm never throws",
    "shell.ts",
    '    } catch (error) {\n      console.error(JSON.stringify({ event: "pool_alarm_failed"',
    '    } catch (error) {\n      throw error;\n      console.error(JSON.stringify({ event: "pool_alarm_failed"',
    "guards",
  ),
  pool("so many may wait", "waiters.ts", "this.#count >= MAX_WAITERS || ", "", "guards"),
  pool("so many of a project may wait", "waiters.ts", " || mine >= MAX_PROJECT_WAITERS", "", "jobs"),
  pool("a socket that sends too much is closed", "pace.ts", "bucket.over = bucket.tokens < 0;", "", "sockets"),
  pool(
    "a key has so many sockets",
    "sockets.ts",
    "ctx.getWebSockets(keyTag(key)).length >= MAX_KEY_SOCKETS",
    "ctx.getWebSockets(keyTag(key)).length < 0",
    "sockets",
  ),
  pool(
    "a boot belongs to its key",
    "frames/presence.ts",
    "if (known !== null && known.key !== visitor.key)",
    'if (known !== null && known.key === "")',
    "sockets",
  ),
  pool(
    "a restart gives workers time",
    "turn.ts",
    "return this.now >= this.since + RESTART_GRACE_MS;",
    "return true;",
    "restart",
  ),
  pool("two deaths poison", "poison.ts", "if (deaths >= MAX_DEATHS)", "if (deaths < 0)", "recovery", "policy"),
  pool(
    "an ended process is blamed",
    "frames/presence.ts",
    "if (last !== undefined) blame(turn, last.boot);",
    "",
    "liveness",
  ),
  pool(
    "what loads waits for a store",
    "expire.ts",
    'const computed = phase === null || phase === "working" || phase === "replaying";',
    "const computed = true;",
    "liveness",
  ),
  pool(
    "older code refuses a newer store",
    "tables/versions.ts",
    "if (version > STORE_VERSION) {",
    "if (version < 0) {",
    "versions",
  ),
  pool("a step of the store is whole", "tables/versions.ts", "storage.transactionSync(() => {", "(() => {", "versions"),
  pool(
    "an artifact is believed once it is stored",
    "frames/work.ts",
    "if (stored === false) return",
    "if (stored === null) return",
    "jobs",
  ),
  pool(
    "one broken job stops no other",
    "isolate.ts",
    'if ("value" in outcome) return true;',
    'if ("value" in outcome) return true;\n  throw outcome.error;',
    "isolation",
  ),
  edge("so many requests a minute", "middleware/auth.ts", "if (!allowed) {", "if (wait < 0) {", "routes/guards"),
  edge(
    "D1 keeps the newest of an evaluation",
    "store/evaluations.ts",
    "setWhere: sql`${evaluations.rev} < ${rev}`",
    "setWhere: sql`${evaluations.rev} < ${rev + 1_000_000}`",
    "services/guards",
  ),
  edge(
    "D1 keeps the newest of a job",
    "store/projections.ts",
    "setWhere: sql`${jobs.rev} < ${rev}`",
    "setWhere: sql`${jobs.rev} < ${rev + 1_000_000}`",
    "services/guards",
  ),
  edge(
    "D1 keeps the newest of a run",
    "store/projections.ts",
    "setWhere: sql`${runs.rev} < ${rev}`",
    "setWhere: sql`${runs.rev} < ${rev + 1_000_000}`",
    "services/guards",
  ),
  edge("a blob has its digest", "store/blobs.ts", "{ sha256, onlyIf:", "{ onlyIf:", "routes/blobs"),
  edge("a blob is written once", "store/blobs.ts", ', onlyIf: { etagDoesNotMatch: "*" }', "", "services/guards"),
  edge(
    "an outage is a 503",
    "services/outage.ts",
    "if (isOutage(error)) {",
    "if (error === undefined) {",
    "routes/outage",
  ),
  edge(
    "ROUGE reads a text up to a bound",
    "evaluation/rouge-tokens.ts",
    "if (tokens.length === most) break;",
    "",
    "evaluation/grade",
  ),
];

const Report = z.object({ numTotalTests: z.int(), numFailedTests: z.int() });

/** The work tree's files, beside links to what is installed. */
function copyTree(folder: string): void {
  const files = spawnSync("git", ["ls-files", "-z"], { cwd: ROOT, encoding: "utf8" }).stdout.split("\0");
  for (const file of files.filter((name) => name !== "" && existsSync(inRoot(name)))) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(inRoot(file), join(folder, file));
  }
  for (const name of ["node_modules", ".venv"]) symlinkSync(inRoot(name), join(folder, name));
}

/** Whether tests ran, and how many failed. */
async function failures(folder: string, { project, tests }: Mechanism): Promise<number | null> {
  const report = join(folder, "report.json");
  rmSync(report, { force: true });
  const args = ["run", "--project", project, "--bail=1", "--reporter=json", `--outputFile=${report}`, ...tests];
  await start(new Screen(), command("vitest"), args, { cwd: folder }).ended;
  if (!existsSync(report)) return null;
  const { numTotalTests, numFailedTests } = Report.parse(JSON.parse(readFileSync(report, "utf8")));
  return numTotalTests === 0 ? null : numFailedTests;
}

/** Why the removal proves nothing; null where a test misses the mechanism. */
async function problemOf(folder: string, mechanism: Mechanism): Promise<string | null> {
  const path = join(folder, mechanism.file);
  const whole = readFileSync(path, "utf8");
  if (whole.split(mechanism.text).length !== 2) return `its text does not stand in ${mechanism.file} once`;
  if ((await failures(folder, mechanism)) !== 0) return "its tests do not pass as they are";
  writeFileSync(
    path,
    whole.replace(mechanism.text, () => mechanism.without),
  );
  const failed = await failures(folder, mechanism);
  writeFileSync(path, whole);
  if (failed === null) return "without it no test runs";
  return failed > 0 ? null : "no test misses it";
}

/** @param folder where the copy may lie */
export async function mechanisms(screen: Screen, folder: string): Promise<Outcome> {
  const copy = join(folder, "tree");
  copyTree(copy);
  const outcome = nothing();
  for (const mechanism of MECHANISMS) {
    const problem = await problemOf(copy, mechanism);
    outcome[problem === null ? "passed" : "failed"] += 1;
    screen.write(problem === null ? `caught ${mechanism.name}\n` : `FAILED ${mechanism.name}: ${problem}\n`);
  }
  return outcome;
}
