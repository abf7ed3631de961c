// Peers in folders of their own. Those from PyPI have an environment each, beside the project's: it lends torch,
// transformers and the worker, so none is installed twice and none can change.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PYTHON, STATE, inRoot } from "../scripts/paths.ts";

/** What the project lends. */
const LENT = ["torch", "transformers", "accelerate"];

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

/** The Python of an environment with these packages (`name==version`), made on first use. */
export function peerPython(name: string, packages: string[]): string {
  const venv = join(STATE, "peers", name);
  const python = join(venv, "bin", "python");
  const stamp = join(venv, `installed ${packages.join(" ")}`);
  if (existsSync(stamp)) return python;
  console.log(`installing ${packages.join(", ")} into .understudy/peers/${name}`);
  rmSync(venv, { recursive: true, force: true });
  mkdirSync(join(STATE, "peers"), { recursive: true });
  const made = spawnSync(PYTHON, ["-m", "venv", venv], { encoding: "utf8" });
  if (made.status !== 0) throw new Error(`no environment for ${name}:\n${made.stderr}`);
  for (const folder of library(venv)) {
    const lent = [...library(inRoot(".venv")), inRoot("gpu-worker")];
    writeFileSync(join(folder, "understudy_project.pth"), `${lent.join("\n")}\n`);
  }
  // Named with the versions that are there already, pip takes them from the project and changes none.
  pip(python, "install", ...packages, ...LENT.map((lent) => `${lent}==${installed(lent).split("+")[0]}`));
  writeFileSync(stamp, "");
  return python;
}

/** A folder with these npm packages (`name@version`) in its node_modules, made on first use; their own scripts do not run. */
export function peerModules(name: string, packages: string[]): string {
  const folder = join(STATE, "peers", name);
  const stamp = join(folder, `installed ${packages.join(" ").replaceAll("/", "+")}`);
  if (existsSync(stamp)) return folder;
  console.log(`installing ${packages.join(", ")} into .understudy/peers/${name}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), "{}");
  const args = ["install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", ...packages];
  const run = spawnSync("npm", args, { cwd: folder, encoding: "utf8" });
  if (run.status !== 0) throw new Error(`npm ${args.join(" ")}:\n${run.stderr}`);
  writeFileSync(stamp, "");
  return folder;
}
