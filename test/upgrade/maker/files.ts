// The files of a fixture: copies of a stack's state, and the archive.
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { gzipSync } from "node:zlib";
import { databases } from "../stored.ts";

/** What of a state folder is of the machine or of the process that ran there. */
const LEFT_OUT = ["cache", "logs", "stack.json"];

/** Copies the state of a stack that is not running, as a crash left it. */
export function copyState(state: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  cpSync(state, to, {
    recursive: true,
    // SQLite makes the shared memory of a log anew.
    filter: (path) => !LEFT_OUT.includes(basename(path)) && !path.endsWith("-shm"),
  });
}

/** Moves what each database's log holds into the database. */
export function closeLogs(state: string): void {
  for (const file of databases(state)) {
    const database = new DatabaseSync(file);
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
  }
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(folder, name)).isFile())
    .sort();
}

/** Names of files that hold one of these texts. */
export function mentions(folder: string, texts: readonly string[]): string[] {
  return filesOf(folder).filter((name) => {
    const bytes = readFileSync(join(folder, name));
    return texts.some((text) => bytes.includes(text));
  });
}

/** Packs a folder's files: the same files give the same bytes. Needs GNU tar. */
export function pack(folder: string, archive: string): void {
  const plain = ["--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rw,go=", "--format=ustar"];
  const args = ["-C", folder, ...plain, "--no-recursion", "--verbatim-files-from", "-T", "-", "-cf", "-"];
  const tar = spawnSync("tar", args, { input: filesOf(folder).join("\n"), maxBuffer: 2 ** 30 });
  if (tar.status !== 0) throw new Error(`tar: ${tar.stderr.toString()}`);
  writeFileSync(archive, gzipSync(tar.stdout, { level: 9 }));
}
