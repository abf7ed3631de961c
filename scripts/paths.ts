// Where things lie in the repository, and the node_modules commands.
import { join, resolve } from "node:path";

export const ROOT = resolve(import.meta.dirname, "..");
export const PYTHON = join(ROOT, ".venv", "bin", "python");
/** State of the local stack: databases, logs, keys. */
export const STATE = join(ROOT, ".understudy");
export const DIST = join(ROOT, "dist");

export const inRoot = (...parts: string[]): string => join(ROOT, ...parts);
export const command = (name: string): string => inRoot("node_modules", ".bin", name);
