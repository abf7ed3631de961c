// The set-up on machines of every kind: the real bootstrap on a copy of its files, with npm and Python played by scripts.
import { spawn } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inRoot } from "../../scripts/paths.ts";

const NPM = `[ "$1" = ci ] || exit 0
echo npm "$@" >> "$LOG"
rm -rf node_modules
mkdir -p node_modules/.bin
sleep "\${NPM_SLEEP:-0}"
[ -z "$NPM_FAILS_ONCE" ] || [ -e "$NPM_FAILS_ONCE" ] || { : > "$NPM_FAILS_ONCE"; echo "strange certificate"; exit 1; }
[ -z "$NPM_FAILS" ] || { echo "no space left"; exit 1; }
ln -s "$NODE" node_modules/.bin/node
`;
const PYTHON = `case "$1 $2" in
"-c "*) echo "\${PYTHON_VERSION:-3.12.1}"; exit "\${PYTHON_STATUS:-0}" ;;
"-m venv") echo venv >> "$LOG"; mkdir -p "$3/bin" "$3/lib/python3.12/site-packages"; cp "$0" "$3/bin/python" ;;
"-m pip") echo "$@" >> "$LOG"; [ -z "$PIP_FAILS" ] || { echo "no network"; exit 1; } ;;
esac
`;

let root: string;
let tools: string;

function tool(name: string, body: string): void {
  writeFileSync(join(tools, name), `#!/bin/sh\n${body}`);
  chmodSync(join(tools, name), 0o755);
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "understudy-bootstrap-"));
  tools = join(root, "tools");
  mkdirSync(tools);
  for (const name of ["sh", "rm", "mkdir", "cp", "ln", "sleep"]) symlinkSync(`/bin/${name}`, join(tools, name));
  tool("npm", NPM);
  tool("python3", PYTHON);
  for (const path of ["scripts", "package-lock.json", "gpu-worker/pyproject.toml", "demo/teacher.lock"]) {
    cpSync(inRoot(path), join(root, path), { recursive: true });
  }
  writeFileSync(join(root, "gpu-worker", "requirements.lock"), "numpy==1.0 --hash=sha256:00\n");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

interface Result {
  status: number | null;
  output: string;
}

function bootstrap(env: Record<string, string> = {}): Promise<Result> {
  const script = join(root, "scripts", "bootstrap.mjs");
  const child = spawn(process.execPath, [script, "node", "-p", "'it runs: ' + process.argv.slice(1)", "--", "--x"], {
    env: { PATH: tools, LOG: join(root, "log"), NODE: process.execPath, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text: Buffer) => (output += text.toString()));
  return new Promise((done) => child.on("close", (status) => done({ status, output })));
}

const log = (): string[] => {
  const path = join(root, "log");
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
};

test("a fresh clone installs both halves and runs the command; the second time it only runs it", async () => {
  const first = await bootstrap();
  expect(first).toMatchObject({ status: 0, output: expect.stringContaining("it runs: --x") });
  // The halves run side by side: npm's line may stand anywhere.
  expect(log()).toContain("npm ci --no-audit --no-fund");
  const [venv, torch, lock, teacher] = log().filter((line) => !line.startsWith("npm"));
  expect(venv).toBe("venv");
  expect(torch).toMatch(/pip install .* torch==[0-9.]+$/);
  expect(lock).toMatch(/--require-hashes -r .*requirements\.lock$/);
  expect(teacher).toMatch(/--no-deps --require-hashes -r .*teacher\.lock$/);
  expect(readFileSync(join(root, ".venv/lib/python3.12/site-packages/understudy_worker.pth"), "utf8")).toBe(
    `${join(root, "gpu-worker")}\n`,
  );
  expect(await bootstrap()).toEqual({ status: 0, output: "it runs: --x\n" });
  expect(log()).toHaveLength(5);
});

test("what is out of step is installed again, and nothing else", async () => {
  await bootstrap();
  writeFileSync(join(root, "package-lock.json"), "{}");
  await bootstrap();
  expect(log().slice(5)).toEqual(["npm ci --no-audit --no-fund"]);
  writeFileSync(join(root, "gpu-worker", "requirements.lock"), "numpy==2.0 --hash=sha256:00\n");
  await bootstrap();
  expect(
    log()
      .slice(6)
      .map((line) => line.split(" ")[0]),
  ).toEqual(["venv", "-m", "-m", "-m"]);
});

test("torch comes from another index only where one is named", async () => {
  await bootstrap({ UNDERSTUDY_TORCH_INDEX: "https://wheels.test/cpu" });
  expect(log().filter((line) => line.includes("--index-url https://wheels.test/cpu"))).toHaveLength(1);
});

test("a failed try says why, and the next one repairs it", async () => {
  const both = await bootstrap({ NPM_FAILS: "1", PIP_FAILS: "1" });
  expect(both.status).toBe(1);
  expect(both.output).toMatch(/no space left\n.*installing npm packages: failed/);
  expect(both.output).toMatch(/no network\n.*installing torch==[0-9.]+: failed/);
  const pip = await bootstrap({ PIP_FAILS: "1" });
  expect(pip).toMatchObject({ status: 1, output: expect.stringContaining("no network") });
  expect(pip.output).not.toContain("no space left");
  expect(await bootstrap()).toMatchObject({ status: 0, output: expect.stringContaining("it runs") });
});

test("what npm gives up at once is tried once more", async () => {
  const result = await bootstrap({ NPM_FAILS_ONCE: join(root, "failed") });
  expect(result).toMatchObject({ status: 0, output: expect.stringContaining("strange certificate") });
  expect(log().filter((line) => line.startsWith("npm"))).toHaveLength(2);
});

test("two at once install once", async () => {
  const both = await Promise.all([bootstrap({ NPM_SLEEP: "1" }), bootstrap({ NPM_SLEEP: "1" })]);
  expect(both.map(({ status }) => status)).toEqual([0, 0]);
  expect(log()).toHaveLength(5);
});

test.each([
  [
    "an old Python",
    { PYTHON_VERSION: "3.9.2", PYTHON_STATUS: "3" },
    "understudy needs Python 3.11 or newer, this is 3.9.2: https://python.org\n",
  ],
  [
    "no venv",
    { PYTHON_STATUS: "1" },
    "understudy needs Python's venv module: install it (Debian, Ubuntu: apt install python3-venv)\n",
  ],
])("%s is one clear line", async (_, env, line) => {
  expect(await bootstrap(env)).toEqual({ status: 1, output: line });
});

test("no Python and no npm are a line each", async () => {
  rmSync(join(tools, "python3"));
  rmSync(join(tools, "npm"));
  expect(await bootstrap()).toEqual({
    status: 1,
    output:
      "understudy needs npm, which comes with Node: https://nodejs.org\nunderstudy needs Python 3.11 or newer, there is none: https://python.org\n",
  });
});
