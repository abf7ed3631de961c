// One set-up at a time: two commands started together must not install over each other.
import { mkdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { dirname } from "node:path";

/** The holder touches its lock this often, ms. */
const TOUCH_MS = 1000;
/** A lock untouched for this long was left by a process that died, ms. */
const STALE_MS = 15_000;

function take(path) {
  try {
    mkdirSync(path);
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    return false;
  }
}

function isStale(path) {
  try {
    return Date.now() - statSync(path).mtimeMs > STALE_MS;
  } catch {
    return false; // released in the meantime
  }
}

/** Runs `work` while holding the folder `path` as a lock; waits for another holder, and takes over from a dead one. */
export async function withLock(path, work) {
  mkdirSync(dirname(path), { recursive: true });
  for (let waits = 0; !take(path); waits += 1) {
    if (isStale(path)) rmSync(path, { recursive: true, force: true });
    if (waits === 2) console.log("waiting for another set-up of this folder to finish");
    await new Promise((done) => setTimeout(done, 500));
  }
  const timer = setInterval(() => utimesSync(path, new Date(), new Date()), TOUCH_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    rmSync(path, { recursive: true, force: true });
  }
}
