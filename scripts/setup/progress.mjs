// Runs one long command behind one live line.
import { spawn } from "node:child_process";

/** A failure that is the machine's or the user's: its message is all that they need to see. */
export class Failed extends Error {}

const TICK_MS = 250;
/** Where the output is no terminal, one line this often, ms. */
const QUIET_TICK_MS = 10_000;
/** Lines of the command's output that are shown when it fails. */
const TAIL = 40;

/** What a terminal shows of a step: its name, the seconds so far, what the command last said. */
function line(label, started, last) {
  const seconds = Math.round((Date.now() - started) / 1000);
  const text = `${label} (${seconds} s) ${last}`;
  const columns = process.stdout.columns || 100;
  return text.length < columns ? text : `${text.slice(0, columns - 2)}…`;
}

/**
 * Runs `command`, and shows that it goes on. Throws Failed with the end of its output when it fails or is interrupted.
 * @param {string} label what is being done, in a few words
 */
export async function step(label, command, args, options = {}) {
  const started = Date.now();
  const live = process.stdout.isTTY === true;
  const output = [];
  const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let interrupted = false;
  const stop = (signal) => {
    interrupted = true;
    child.kill(signal);
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output.push(...text.split(/[\r\n]+/).filter((part) => part.trim() !== ""));
      output.splice(0, output.length - TAIL);
    });
  }
  const show = () =>
    process.stdout.write(
      live ? `\r\x1b[K${line(label, started, output.at(-1)?.trim() ?? "")}` : `${line(label, started, "")}\n`,
    );
  show();
  const timer = setInterval(show, live ? TICK_MS : QUIET_TICK_MS);
  const status = await new Promise((done) =>
    child.on("error", done).on("close", (code, signal) => done(code ?? signal)),
  );
  clearInterval(timer);
  process.off("SIGINT", stop).off("SIGTERM", stop);
  if (live) process.stdout.write("\r\x1b[K");
  if (interrupted) throw new Failed(`${label}: interrupted; the next try repairs it`);
  if (status !== 0) throw new Failed([...output, `${label}: failed (${status}); see above`].join("\n"));
  console.log(`${label}: done in ${Math.round((Date.now() - started) / 1000)} s`);
}
