// The tests' Chromium: $CHROMIUM, else the npm package's on Linux x64, else `chromium` on PATH.
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import type { LaunchOptions } from "playwright-core";
import { command, inRoot } from "../../scripts/paths.ts";

const PACKAGE = inRoot("node_modules", "@sparticuz", "chromium");
/** Inside the package: npm removes it together with the version that it was unpacked from. */
const UNPACKED = join(PACKAGE, "unpacked");
const UNPACK = join(import.meta.dirname, "unpack-chromium.ts");
const FONTS = join(import.meta.dirname, "fonts.conf");

/** Two processes may unpack at the same time: the first to finish gives the folder its name. */
async function unpack(): Promise<void> {
  const folder = mkdtempSync(join(PACKAGE, "unpacking-"));
  try {
    await promisify(execFile)(command("node"), [UNPACK], { env: { ...process.env, TMPDIR: folder } });
    renameSync(folder, UNPACKED);
  } catch (error) {
    if (!existsSync(UNPACKED)) throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** It brings its libraries and fonts, and keeps its caches beside it: it needs none of the machine's, nor its home. */
async function packaged(): Promise<LaunchOptions> {
  if (!existsSync(UNPACKED)) await unpack();
  const env = {
    ...process.env,
    LD_LIBRARY_PATH: join(UNPACKED, "al2023", "lib"),
    FONTCONFIG_FILE: FONTS,
    XDG_CACHE_HOME: join(UNPACKED, "cache"),
    XDG_CONFIG_HOME: join(UNPACKED, "config"),
  };
  return { executablePath: join(UNPACKED, "chromium"), env };
}

type Source = () => Promise<LaunchOptions>;

const at =
  (executablePath: string): Source =>
  () =>
    Promise.resolve({ executablePath });

function find(): Source | null {
  const named = process.env.CHROMIUM;
  if (named !== undefined) {
    if (!existsSync(named)) throw new Error(`CHROMIUM is ${JSON.stringify(named)}, and there is no such file`);
    return at(named);
  }
  if (process.platform === "linux" && process.arch === "x64") return packaged;
  const folders = (process.env.PATH ?? "").split(delimiter);
  const found = folders.map((folder) => join(folder, "chromium")).find((path) => existsSync(path));
  return found === undefined ? null : at(found);
}

/** Says how the browser is launched; null where there is none. */
export const chromiumHere = find();
