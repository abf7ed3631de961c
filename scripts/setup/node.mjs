// The npm half of the set-up.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { Failed, step } from "./progress.mjs";

const MIN_NODE = 20;

/** The environment less the packages' own commands: `npm ci` removes the node that they bring while it runs. */
function systemEnv() {
  const own = join("node_modules", ".bin");
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => !folder.endsWith(own));
  return { ...process.env, PATH: folders.join(delimiter) };
}

function problem() {
  if (process.platform === "win32") return "understudy runs on Linux and macOS; on Windows use WSL";
  const found = Number(process.versions.node.split(".")[0]);
  if (found < MIN_NODE)
    return `understudy needs Node ${MIN_NODE} or newer, this is ${process.version}: https://nodejs.org`;
  const npm = spawnSync("npm", ["--version"], { env: systemEnv() });
  return npm.status === 0 ? null : "understudy needs npm, which comes with Node: https://nodejs.org";
}

/** `npm ci` when node_modules is missing, incomplete or out of step. The stamp lies inside, so npm removes it first. */
export function nodePackages(root) {
  const stamp = join(root, "node_modules", ".understudy-stamp");
  const wanted = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  return {
    isInstalled: () => existsSync(stamp) && readFileSync(stamp, "utf8") === wanted,
    problem,
    async install() {
      const install = (label) => step(label, "npm", ["ci", "--no-audit", "--no-fund"], { cwd: root, env: systemEnv() });
      // npm asks for hundreds of packages, and gives up at the first answer that is no network error (seen: a certificate).
      await install("installing npm packages").catch((error) => {
        if (!(error instanceof Failed) || error.interrupted) throw error;
        console.error(error.message);
        return install("installing npm packages, second try");
      });
      if (!existsSync(join(root, "node_modules", ".bin", "node"))) {
        throw new Failed(
          "npm did not run the install script of the package `node`: allow npm's install scripts here, and try again",
        );
      }
      writeFileSync(stamp, wanted);
    },
  };
}
