// node scripts/bootstrap.mjs COMMAND [ARGUMENT ...]: installs what is missing, then runs COMMAND with node_modules/.bin
// first in PATH. Plain JavaScript without dependencies: it is what runs on a fresh clone, on Node 20 or newer.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { withLock } from "./setup/lock.mjs";
import { nodePackages } from "./setup/node.mjs";
import { Failed } from "./setup/progress.mjs";
import { pythonPackages } from "./setup/python.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Installs both halves side by side; each does nothing when its stamp says that it is in step with its lock file. */
async function setUp() {
  const halves = [nodePackages(root), pythonPackages(root)];
  if (halves.every((half) => half.isInstalled())) return;
  const problems = halves.map((half) => half.problem()).filter((problem) => problem !== null);
  if (problems.length > 0) throw new Failed(problems.join("\n"));
  await withLock(join(root, ".understudy", "setup.lock"), async () => {
    const missing = halves.filter((half) => !half.isInstalled());
    const ended = await Promise.allSettled(missing.map((half) => half.install()));
    const reasons = ended.filter(({ status }) => status === "rejected").map(({ reason }) => reason);
    const bug = reasons.find((reason) => !(reason instanceof Failed));
    if (bug !== undefined) throw bug;
    if (reasons.length > 0) throw new Failed(reasons.map(({ message }) => message).join("\n"));
  });
}

/** Runs the real command in our place: same terminal, same signals, same exit code. */
function hand(command, args) {
  const path = [join(root, "node_modules", ".bin"), process.env.PATH].join(delimiter);
  const child = spawn(command, args, { cwd: root, stdio: "inherit", env: { ...process.env, PATH: path } });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`cannot run ${command}: ${error.message}`);
    process.exit(127);
  });
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

const [command, ...args] = process.argv.slice(2);
try {
  await setUp();
  if (command !== undefined) hand(command, args);
} catch (error) {
  console.error(error instanceof Failed ? error.message : error);
  process.exit(1);
}
