// npm run generate: everything that is made from something else. With --check nothing is written, and what is out of step fails.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, command, inRoot } from "./paths.ts";

interface Generated {
  name: string;
  /** Writes it, or with `check` says whether it is in step. */
  make: (check: boolean) => boolean;
}

const node = (script: string, check: boolean): boolean =>
  spawnSync(process.execPath, [inRoot(script), ...(check ? ["--check"] : [])], { stdio: "inherit" }).status === 0;

/** drizzle-kit adds a migration where the schema has moved on from the last one; it has no dry run, so a check uses a copy. */
function migrations(check: boolean): boolean {
  const folder = check ? mkdtempSync(join(tmpdir(), "understudy-migrations-")) : inRoot("migrations");
  try {
    if (check) cpSync(inRoot("migrations"), folder, { recursive: true });
    const before = readdirSync(folder).length;
    const args = ["generate", "--dialect", "sqlite", "--schema", inRoot("src", "store", "schema.ts"), "--out", folder];
    const run = spawnSync(command("drizzle-kit"), args, { cwd: ROOT, encoding: "utf8" });
    const inStep = run.status === 0 && (!check || readdirSync(folder).length === before);
    if (!inStep) console.error(`${run.stdout}${run.stderr}`);
    return inStep;
  } finally {
    if (check) rmSync(folder, { recursive: true, force: true });
  }
}

function openapi(check: boolean): boolean {
  const path = inRoot("docs", "openapi.json");
  const run = spawnSync(process.execPath, [inRoot("scripts", "openapi.ts")], { encoding: "utf8", maxBuffer: 2 ** 26 });
  if (run.status !== 0) throw new Error(run.stderr);
  if (check) return existsSync(path) && readFileSync(path, "utf8") === run.stdout;
  mkdirSync(inRoot("docs"), { recursive: true });
  writeFileSync(path, run.stdout);
  return true;
}

const GENERATED: Generated[] = [
  { name: "gpu-worker/understudy_worker/wire.py", make: (check) => node("scripts/generate-wire.ts", check) },
  { name: "migrations/", make: migrations },
  { name: "docs/openapi.json", make: openapi },
  { name: "demo/dataset/short-answers.jsonl", make: (check) => node("demo/dataset/generate.ts", check) },
];

const check = process.argv.includes("--check");
for (const { name, make } of GENERATED) {
  const good = make(check);
  if (check) console.log(good ? `${name}: in step` : `${name}: out of step; run npm run generate`);
  if (!good) process.exitCode = 1;
}
