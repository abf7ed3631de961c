// Bundles the Worker with wrangler and lays out its static assets. Does nothing when nothing that goes in has changed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DIST, ROOT, command, inRoot } from "./paths.ts";

export const BUNDLE = join(DIST, "worker", "index.js");
export const ASSETS = join(DIST, "assets");
const STAMP = join(DIST, ".stamp");
const SCALAR = inRoot("node_modules", "@scalar", "api-reference", "dist", "browser", "standalone.js");

/** SHA-256 over everything that the bundle is made of. */
function inputs(): string {
  const sources = readdirSync(inRoot("src"), { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  const files = [
    ...sources.sort().map((name) => inRoot("src", name)),
    inRoot("wrangler.toml"),
    inRoot("package-lock.json"),
  ];
  const hash = createHash("sha256");
  for (const file of files) hash.update(file.slice(ROOT.length)).update("\0").update(readFileSync(file)).update("\0");
  return hash.digest("hex");
}

/** Throws, with wrangler's output, when the Worker does not build. */
export function build(): void {
  const wanted = inputs();
  if (existsSync(BUNDLE) && existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted) return;
  rmSync(STAMP, { force: true });
  mkdirSync(join(ASSETS, "assets"), { recursive: true });
  copyFileSync(SCALAR, join(ASSETS, "assets", "scalar.js"));
  const wrangler = spawnSync(command("wrangler"), ["deploy", "--dry-run", "--outdir", join(DIST, "worker")], {
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "1" },
  });
  if (wrangler.status !== 0) throw new Error(`the Worker does not build:\n${wrangler.stdout}${wrangler.stderr}`);
  writeFileSync(STAMP, wanted);
}

if (import.meta.main) build();
