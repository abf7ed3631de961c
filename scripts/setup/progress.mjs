// Runs long commands behind one live line that tells of all that are running.
import { spawn } from "node:child_process";

/** A failure that is the machine's or the user's: its message is all that they need to see. */
export class Failed extends Error {
  /** Whether a signal ended the work. */
  interrupted = false;
}

const TICK_MS = 250;
/** Where the output is no terminal, one line this often, ms. */
const QUIET_TICK_MS = 10_000;
/** Lines of the command's output that are shown when it fails. */
const TAIL = 40;

const live = process.stdout.isTTY === true;
/** What runs now: its name, when it began, the end of what it said. */
const running = new Set();
let timer = null;

const seconds = (since) => Math.round((Date.now() - since) / 1000);

/** What a terminal shows: each step's name, its seconds so far, and what the last command said. */
function line() {
  const steps = [...running].map(({ label, started }) => `${label} (${seconds(started)} s)`).join(", ");
  const last = live ? ([...running].at(-1)?.output.at(-1)?.trim() ?? "") : "";
  const text = `${steps} ${last}`;
  const columns = process.stdout.columns || 100;
  return !live || text.length < columns ? text : `${text.slice(0, columns - 2)}…`;
}

function show() {
  process.stdout.write(live ? `\r\x1b[K${line()}` : `${line()}\n`);
}

function begin(step) {
  running.add(step);
  timer ??= setInterval(show, live ? TICK_MS : QUIET_TICK_MS);
  show();
}

function end(step) {
  running.delete(step);
  if (live) process.stdout.write("\r\x1b[K");
  if (running.size > 0) return;
  clearInterval(timer);
  timer = null;
}

/**
 * Runs `command`, and shows that it goes on. Throws Failed with the end of its output when it fails or is interrupted.
 * @param {string} label what is being done, in a few words
 */
export async function step(label, command, args, options = {}) {
  const mine = { label, started: Date.now(), output: [] };
  const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let interrupted = false;
  const stop = (signal) => {
    interrupted = true;
    child.kill(signal);
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      mine.output.push(...text.split(/[\r\n]+/).filter((part) => part.trim() !== ""));
      mine.output.splice(0, mine.output.length - TAIL);
    });
  }
  begin(mine);
  const status = await new Promise((done) =>
    child.on("error", done).on("close", (code, signal) => done(code ?? signal)),
  );
  end(mine);
  process.off("SIGINT", stop).off("SIGTERM", stop);
  if (interrupted) {
    throw Object.assign(new Failed(`${label}: interrupted; the next try repairs it`), { interrupted });
  }
  if (status !== 0) throw new Failed([...mine.output, `${label}: failed (${status}); see above`].join("\n"));
  console.log(`${label}: done in ${seconds(mine.started)} s`);
}
