// npm run check: every static check, each with its result.
import { PYTHON, ROOT, command, inRoot } from "./paths.ts";
import { start } from "./suites/child.ts";
import { nothing } from "./suites/outcome.ts";
import type { Outcome } from "./suites/outcome.ts";
import { Screen } from "./suites/screen.ts";

interface Check {
  name: string;
  run: string[];
  folder?: string;
}

const python = (name: string, module: string, ...args: string[]): Check => ({
  name,
  run: [PYTHON, "-m", module, ...args],
  folder: inRoot("gpu-worker"),
});

const CHECKS: Check[] = [
  { name: "types of src", run: [command("tsc"), "-p", "tsconfig.json"] },
  { name: "types of dashboard", run: [command("tsc"), "-p", "tsconfig.dashboard.json"] },
  { name: "types of test", run: [command("tsc"), "-p", "tsconfig.test.json"] },
  { name: "types of scripts", run: [command("tsc"), "-p", "tsconfig.node.json"] },
  { name: "eslint", run: [command("eslint"), "."] },
  { name: "prettier", run: [command("prettier"), "--check", "--log-level", "warn", "."] },
  python("ruff", "ruff", "check", "."),
  python("ruff format", "ruff", "format", "--check", "."),
  python("mypy", "mypy", "understudy_worker"),
  { name: "shipped migrations", run: [process.execPath, "scripts/shipped.ts"] },
  { name: "generated files", run: [process.execPath, "scripts/generate.ts", "--check"] },
];

/** Runs all of them, also after one has failed. */
export async function check(screen: Screen): Promise<Outcome> {
  const outcome = nothing();
  for (const { name, run, folder } of CHECKS) {
    const [program = "", ...args] = run;
    const started = Date.now();
    const said = new Screen();
    const good = (await start(said, program, args, { cwd: folder ?? ROOT }).ended) === 0;
    outcome[good ? "passed" : "failed"] += 1;
    screen.write(`${good ? "ok    " : "FAILED"} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)\n`);
    if (!good) screen.write(said.text);
  }
  return outcome;
}

if (import.meta.main) {
  const { passed, failed } = await check(new Screen().show());
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
