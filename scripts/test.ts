// npm test: static checks, then every test. The last line counts them all.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { build } from "./build.ts";
import { check } from "./check.ts";
import type { Outcome } from "./check.ts";
import { PYTHON, ROOT, command, inRoot } from "./paths.ts";

const VitestReport = z.object({ numPassedTests: z.int(), numFailedTests: z.int(), success: z.boolean() });
const JUNIT = /<testsuite [^>]*?errors="(\d+)" failures="(\d+)" skipped="(\d+)" tests="(\d+)"/;

const folder = mkdtempSync(join(tmpdir(), "understudy-test-"));

/** A suite that ended badly without a failed test (it did not load, it was killed) counts as one failure. */
function settle(passed: number, failed: number, good: boolean): Outcome {
  return { passed, failed: failed === 0 && !good ? 1 : failed };
}

function vitest(project: string): Outcome {
  const report = join(folder, `${project}.json`);
  const args = ["run", "--project", project, "--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const run = spawnSync(command("vitest"), args, { cwd: ROOT, stdio: "inherit" });
  if (!existsSync(report)) return settle(0, 0, false);
  const { numPassedTests, numFailedTests, success } = VitestReport.parse(JSON.parse(readFileSync(report, "utf8")));
  return settle(numPassedTests, numFailedTests, success && run.status === 0);
}

function pytest(): Outcome {
  const report = join(folder, "pytest.xml");
  const args = ["-m", "pytest", `--junitxml=${report}`];
  const run = spawnSync(PYTHON, args, { cwd: inRoot("gpu-worker"), stdio: "inherit" });
  const match = existsSync(report) ? JUNIT.exec(readFileSync(report, "utf8")) : null;
  if (match === null) return settle(0, 0, false);
  const [errors = 0, failures = 0, skipped = 0, tests = 0] = match.slice(1).map(Number);
  const failed = errors + failures;
  return settle(tests - failed - skipped, failed, run.status === 0);
}

function title(text: string): void {
  console.log(`\n== ${text}`);
}

const SUITES: [string, () => Outcome][] = [
  ["static checks", check],
  ["edge, in workerd", () => vitest("workers")],
  ["pool, in workerd", () => vitest("pool")],
  ["set-up and end to end", () => vitest("node")],
  ["worker", pytest],
];

const results: string[] = [];
const total: Outcome = { passed: 0, failed: 0 };
try {
  build();
  for (const [name, suite] of SUITES) {
    title(name);
    const started = Date.now();
    const { passed, failed } = suite();
    total.passed += passed;
    total.failed += failed;
    results.push(`${name}: ${passed} passed, ${failed} failed (${Math.round((Date.now() - started) / 1000)} s)`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
title("results");
for (const line of results) console.log(line);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
