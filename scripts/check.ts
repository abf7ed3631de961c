// npm run check: every static check, each with its result.
import { spawnSync } from "node:child_process";
import { PYTHON, ROOT, command, inRoot } from "./paths.ts";

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
  { name: "generated files", run: [process.execPath, "scripts/generate.ts", "--check"] },
];

export interface Outcome {
  passed: number;
  failed: number;
}

/** Runs all of them, also after one has failed. */
export function check(): Outcome {
  const outcome = { passed: 0, failed: 0 };
  for (const { name, run, folder } of CHECKS) {
    const [program = "", ...args] = run;
    const started = Date.now();
    const result = spawnSync(program, args, { cwd: folder ?? ROOT, encoding: "utf8" });
    const good = result.status === 0;
    outcome[good ? "passed" : "failed"] += 1;
    console.log(`${good ? "ok    " : "FAILED"} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    if (!good) console.log(`${result.stdout}${result.stderr}`);
  }
  return outcome;
}

if (import.meta.main) {
  const { passed, failed } = check();
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
