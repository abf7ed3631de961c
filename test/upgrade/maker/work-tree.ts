// A work tree of one commit in a temporary folder, with the packages that its lock files name.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { ROOT, inRoot } from "../../../scripts/paths.ts";

export interface WorkTree {
  /** The commit's full id. */
  commit: string;
  /** Where its files are. */
  tree: string;
  /** A temporary folder around it, which `remove` removes too. */
  folder: string;
  remove(): void;
}

function git(...args: string[]): string {
  const run = spawnSync("git", ["-C", ROOT, ...args], { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`git ${args.join(" ")}: ${run.stderr}`);
  return run.stdout.trim();
}

const Lock = z.object({
  packages: z.record(z.string(), z.object({ version: z.string().optional(), optional: z.boolean().optional() })),
});
const readLock = (path: string) => Lock.parse(JSON.parse(readFileSync(path, "utf8"))).packages;

/** Whether this checkout has every package that the tree locks, in its version: npm notes what it has installed. */
function hasPackages(tree: string): boolean {
  const note = inRoot("node_modules", ".package-lock.json");
  if (!existsSync(note)) return false;
  const installed = readLock(note);
  return Object.entries(readLock(join(tree, "package-lock.json"))).every(([path, { version, optional = false }]) => {
    const there = installed[path];
    // An optional package is one of another platform.
    return path === "" || (there === undefined ? optional : there.version === version);
  });
}

/** Whether the tree's worker wants what this checkout's was installed from. */
function hasPython(tree: string): boolean {
  const stamp = inRoot(".venv", ".understudy-stamp");
  const read = (root: string, name: string) => readFileSync(join(root, "gpu-worker", name), "utf8");
  const torch = (root: string) => /"(torch==[^"]+)"/.exec(read(root, "pyproject.toml"))?.[1];
  const lock = (root: string) => read(root, "requirements.lock");
  return existsSync(stamp) && torch(tree) === torch(ROOT) && lock(tree) === lock(ROOT);
}

/** Links this checkout's packages where they are the same, else has the commit's own bootstrap install them. */
function install(tree: string): void {
  if (hasPackages(tree) && hasPython(tree)) {
    for (const name of ["node_modules", ".venv"]) symlinkSync(inRoot(name), join(tree, name));
    return;
  }
  // Nothing is linked here: `npm ci` empties node_modules, also through a link.
  const run = spawnSync(process.execPath, ["scripts/bootstrap.mjs"], { cwd: tree, stdio: "inherit" });
  if (run.status !== 0) throw new Error("the commit's packages cannot be installed");
}

export function openWorkTree(revision: string): WorkTree {
  const commit = git("rev-parse", "--verify", `${revision}^{commit}`);
  const folder = mkdtempSync(join(tmpdir(), "understudy-fixture-"));
  const tree = join(folder, "tree");
  const remove = () => {
    if (existsSync(tree)) git("worktree", "remove", "--force", tree);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    git("worktree", "add", "--quiet", "--detach", tree, commit);
    install(tree);
    return { commit, tree, folder, remove };
  } catch (error) {
    remove();
    throw error;
  }
}
