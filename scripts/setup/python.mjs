// The Python half of the set-up: an environment in .venv with the worker's packages.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { step } from "./progress.mjs";

const COMMANDS = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"];
const PROBE = `
import sys
print(".".join(map(str, sys.version_info[:3])))
sys.exit(3) if sys.version_info < (3, 11) else None
import venv, ensurepip`;

/** Every Python on PATH: its command, its version, and whether it serves (0), lacks venv (1) or is too old (3). */
function pythons() {
  return COMMANDS.map((command) => ({ command, probe: spawnSync(command, ["-c", PROBE], { encoding: "utf8" }) }))
    .filter(({ probe }) => probe.error === undefined && probe.stdout.trim() !== "")
    .map(({ command, probe }) => ({ command, version: probe.stdout.trim(), status: probe.status }));
}

function problem() {
  const found = pythons();
  if (found.some(({ status }) => status === 0)) return null;
  if (found.some(({ status }) => status === 1)) {
    return "understudy needs Python's venv module: install it (Debian, Ubuntu: apt install python3-venv)";
  }
  const newest = found.length > 0 ? `this is ${found[0].version}` : "there is none";
  return `understudy needs Python 3.11 or newer, ${newest}: https://python.org`;
}

/** Makes the worker's package importable from where it lies. */
function linkWorker(root) {
  const library = join(root, ".venv", "lib");
  for (const version of readdirSync(library).filter((name) => name.startsWith("python3"))) {
    writeFileSync(join(library, version, "site-packages", "understudy_worker.pth"), `${join(root, "gpu-worker")}\n`);
  }
}

/**
 * torch comes first and by version, since a CPU build has another hash than the CUDA build of the same name;
 * UNDERSTUDY_TORCH_INDEX chooses the index that it comes from. All else is pinned by hash.
 * An environment without its stamp was left by an interrupted try and is made anew: pip does not notice half a package.
 */
async function install(root, { torch, lock, teacher }) {
  const venv = join(root, ".venv");
  rmSync(venv, { recursive: true, force: true });
  const { command } = pythons().find(({ status }) => status === 0);
  await step("making a Python environment in .venv", command, ["-m", "venv", venv]);
  // Not compiled: of thousands of modules a process imports a few hundred, and compiles those once.
  const options = ["--disable-pip-version-check", "--no-compile"];
  const pip = (label, ...args) =>
    step(label, join(venv, "bin", "python"), ["-m", "pip", "install", ...options, ...args]);
  const index = process.env.UNDERSTUDY_TORCH_INDEX;
  await pip(`installing ${torch}`, ...(index ? ["--index-url", index] : []), torch);
  await pip("installing the worker's Python packages", "--require-hashes", "-r", lock);
  await pip("installing the teacher, SmolLM2-135M-Instruct", "--no-deps", "--require-hashes", "-r", teacher);
  linkWorker(root);
}

export function pythonPackages(root) {
  const [, torch] = /"(torch==[^"]+)"/.exec(readFileSync(join(root, "gpu-worker", "pyproject.toml"), "utf8"));
  const lock = join(root, "gpu-worker", "requirements.lock");
  const teacher = join(root, "demo", "teacher.lock");
  const hash = createHash("sha256").update(torch);
  for (const file of [lock, teacher]) hash.update(readFileSync(file));
  const wanted = hash.digest("hex");
  const stamp = join(root, ".venv", ".understudy-stamp");
  return {
    isInstalled: () =>
      existsSync(join(root, ".venv", "bin", "python")) && existsSync(stamp) && readFileSync(stamp, "utf8") === wanted,
    problem,
    async install() {
      await install(root, { torch, lock, teacher });
      writeFileSync(stamp, wanted);
    },
  };
}
