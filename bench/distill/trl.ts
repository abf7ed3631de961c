// TRL in an environment of its own, beside the project's: it lends torch and transformers, so neither is installed twice
// and neither can change.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PYTHON, STATE, inRoot } from "../../scripts/paths.ts";

/** The newest on PyPI when this was written; it works with the project's torch and transformers. */
export const TRL = "1.16.0";
const DATASETS = "5.2.0";

function pip(python: string, ...args: string[]): void {
  const run = spawnSync(python, ["-m", "pip", "--disable-pip-version-check", ...args], { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`pip ${args.join(" ")}:\n${run.stderr}`);
}

/** Version of a package as the project has it. */
function installed(name: string): string {
  const code = `from importlib.metadata import version; print(version(${JSON.stringify(name)}))`;
  const run = spawnSync(PYTHON, ["-c", code], { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`${name} is not in .venv:\n${run.stderr}`);
  return run.stdout.trim();
}

const library = (venv: string): string[] =>
  readdirSync(join(venv, "lib"))
    .filter((name) => name.startsWith("python3"))
    .map((name) => join(venv, "lib", name, "site-packages"));

/** The Python of that environment, made on first use. */
export function trlPython(): string {
  const venv = join(STATE, "bench-venv");
  const python = join(venv, "bin", "python");
  const stamp = join(venv, `trl-${TRL}`);
  if (existsSync(stamp)) return python;
  console.log(`installing trl ${TRL} into .understudy/bench-venv`);
  rmSync(venv, { recursive: true, force: true });
  const made = spawnSync(PYTHON, ["-m", "venv", venv], { encoding: "utf8" });
  if (made.status !== 0) throw new Error(`no environment for trl:\n${made.stderr}`);
  for (const folder of library(venv)) {
    writeFileSync(join(folder, "understudy_project.pth"), `${library(inRoot(".venv")).join("\n")}\n`);
  }
  // Named with the versions that are there already, pip takes them from the project and changes none.
  const pinned = ["torch", "transformers", "accelerate"].map((name) => `${name}==${installed(name).split("+")[0]}`);
  pip(python, "install", `trl==${TRL}`, `datasets==${DATASETS}`, ...pinned);
  writeFileSync(stamp, "");
  return python;
}
