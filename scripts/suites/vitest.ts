// A project of vitest.config.ts as a suite.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, command, inRoot } from "../paths.ts";
import { start } from "./child.ts";
import { Outcome, nothing, settle } from "./outcome.ts";
import type { Screen } from "./screen.ts";

const REPORTER = inRoot("scripts", "suites", "vitest-reporter.ts");

/**
 * Runs the files in a random order: none may depend on what ran before it.
 * @param folder where its report may lie
 */
export async function vitest(screen: Screen, folder: string, project: string): Promise<Outcome> {
  const report = join(folder, `${project}.json`);
  const args = ["run", "--project", project, "--sequence.shuffle.files"];
  const child = start(screen, command("vitest"), [...args, "--reporter=default", `--reporter=${REPORTER}`], {
    cwd: ROOT,
    env: { ...process.env, UNDERSTUDY_TEST_REPORT: report },
  });
  const status = await child.ended;
  if (!existsSync(report)) return settle(nothing(), false);
  return settle(Outcome.parse(JSON.parse(readFileSync(report, "utf8"))), status === 0);
}
