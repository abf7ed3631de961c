// Bundles the two Workers with wrangler and the pages with vite, and lays out the static assets. Does nothing when nothing that goes in has changed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DIST, ROOT, command, inRoot } from "./paths.ts";

export const BUNDLE = join(DIST, "worker", "index.js");
/** The scorer's bundle: its script, and the runtime's wasm beside it. */
export const SCORER = join(DIST, "scorer");
export const SCORER_CONFIG = inRoot("src", "scorer", "wrangler.toml");
export const ASSETS = join(DIST, "assets");
const STAMP = join(DIST, ".stamp");
const SCALAR = inRoot("node_modules", "@scalar", "api-reference", "dist", "browser", "standalone.js");

const ICON = inRoot("src", "dashboard", "icon.svg");
const PAGES = inRoot("scripts", "pages.ts");
const HEADERS = inRoot("src", "playground", "_headers");
const SOURCE = /(\.(tsx?|css|svg)|_headers)$/;

/** SHA-256 over everything that the bundles are made of. */
function inputs(): string {
  const sources = readdirSync(inRoot("src"), { recursive: true, encoding: "utf8" }).filter((name) => SOURCE.test(name));
  const files = [
    ...sources.sort().map((name) => inRoot("src", name)),
    PAGES,
    inRoot("wrangler.toml"),
    SCORER_CONFIG,
    inRoot("package-lock.json"),
  ];
  const hash = createHash("sha256");
  for (const file of files) hash.update(file.slice(ROOT.length)).update("\0").update(readFileSync(file)).update("\0");
  return hash.digest("hex");
}

function run(what: string, program: string, args: string[], env: Record<string, string>): void {
  const child = spawnSync(program, args, { cwd: ROOT, encoding: "utf8", env: { ...process.env, ...env } });
  if (child.status !== 0) throw new Error(`${what} does not build:\n${child.stdout}${child.stderr}`);
}

/** `where` says which Worker, if not the main one. */
function bundle(what: string, outdir: string, ...where: string[]): void {
  const quiet = { WRANGLER_SEND_METRICS: "false", CI: "1" };
  run(what, command("wrangler"), ["deploy", "--dry-run", "--outdir", outdir, ...where], quiet);
}

/** Throws, with the bundler's output, when a Worker or a page does not build. */
export function build(): void {
  const wanted = inputs();
  if (existsSync(BUNDLE) && existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted) return;
  rmSync(STAMP, { force: true });
  // A chunk that is no longer made would stay beside the others.
  rmSync(ASSETS, { recursive: true, force: true });
  mkdirSync(join(ASSETS, "assets"), { recursive: true });
  copyFileSync(HEADERS, join(ASSETS, "_headers"));
  copyFileSync(SCALAR, join(ASSETS, "assets", "scalar.js"));
  copyFileSync(ICON, join(ASSETS, "assets", "icon.svg"));
  // A test's NODE_ENV would give the page the development build of its JSX.
  run("the pages", process.execPath, [PAGES], { NODE_ENV: "production" });
  bundle("the Worker", join(DIST, "worker"));
  // A wasm file's name has its digest: an older one would stay beside it.
  rmSync(SCORER, { recursive: true, force: true });
  bundle("the scorer", SCORER, "--config", SCORER_CONFIG);
  writeFileSync(STAMP, wanted);
}

if (import.meta.main) build();
