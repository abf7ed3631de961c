// The worker's tests as a suite.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { PYTHON, inRoot } from "../paths.ts";
import { start } from "./child.ts";
import { SLOW_S, nothing, settle } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";
import type { Screen } from "./screen.ts";

/** Two processes, each with whole files; `conftest.py` puts the longest files first. */
const SIDE_BY_SIDE = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"];

/** A test of a JUnit report: its names, its time, and what it holds. */
const CASE = /<testcase classname="([^"]*)" name="([^"]*)" time="([^"]*)"(?: \/>|>(.*?)<\/testcase>)/gs;
const SKIPPED = /<skipped [^>]*message="([^"]*)"/;
const ENTITIES: Record<string, string> = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&" };

const plain = (text: string): string => text.replace(/&\w+;/g, (entity) => ENTITIES[entity] ?? entity);

function read(report: string): Outcome {
  const outcome = nothing();
  for (const [, module = "", test = "", time = "", body = ""] of report.matchAll(CASE)) {
    const name = `${module} > ${plain(test)}`;
    const skipped = SKIPPED.exec(body);
    if (skipped !== null) outcome.skipped.push({ name, reason: plain(skipped[1] ?? "") });
    else if (/<(failure|error) /.test(body)) outcome.failed += 1;
    else outcome.passed += 1;
    if (Number(time) > SLOW_S) outcome.slow.push({ name, seconds: Number(time) });
  }
  return outcome;
}

/**
 * @param folder where its report may lie
 * @param env what differs from this process's environment
 */
export async function pytest(screen: Screen, folder: string, env: Record<string, string> = {}): Promise<Outcome> {
  const report = join(folder, "pytest.xml");
  rmSync(report, { force: true });
  const child = start(screen, PYTHON, ["-m", "pytest", ...SIDE_BY_SIDE, `--junitxml=${report}`], {
    cwd: inRoot("gpu-worker"),
    env: { ...process.env, ...env },
  });
  const status = await child.ended;
  return existsSync(report) ? settle(read(readFileSync(report, "utf8")), status === 0) : settle(nothing(), false);
}
