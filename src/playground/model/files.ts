// The files of an export: kept in this browser under their digests, else from the service. Every byte is verified.
import { Failure, download } from "../../dashboard/api.ts";
import type { Export, ExportFile } from "../answers.ts";
import type { LoadedFile } from "../runner/messages.ts";

const STORE = "understudy-exports";

/** Bytes, of all files. */
export interface Progress {
  done: number;
  total: number;
  /** Of those done, what had to be asked of the service. */
  loaded: number;
}

const keptAt = ({ sha256 }: ExportFile): string => `/playground/files/${sha256}`;

async function sha256(bytes: ArrayBuffer): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Null where it is not kept; one that has changed on the disk is thrown away. */
async function kept(store: Cache, file: ExportFile): Promise<ArrayBuffer | null> {
  const found = await store.match(keptAt(file));
  if (found === undefined) return null;
  const bytes = await found.arrayBuffer();
  if ((await sha256(bytes)) === file.sha256) return bytes;
  await store.delete(keptAt(file));
  return null;
}

async function loaded(file: ExportFile, count: (bytes: number) => void, signal: AbortSignal): Promise<ArrayBuffer> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for await (const part of download(file.href, signal)) {
    parts.push(part);
    count(part.length);
  }
  const bytes = await new Blob(parts).arrayBuffer();
  if ((await sha256(bytes)) === file.sha256) return bytes;
  throw new Failure(
    "A file of the export is damaged",
    `What came of ${file.name} is not what its SHA-256 says, so it is not used. Load it again; if it stays like that, ` +
      "its copy at the service is broken, and another precision has files of its own.",
  );
}

/** Keeps a file for the next visit, unless the browser has no room: then it is loaded again. */
async function keep(store: Cache, file: ExportFile, bytes: ArrayBuffer): Promise<void> {
  const response = new Response(bytes, { headers: { "content-length": String(bytes.byteLength) } });
  await store.put(keptAt(file), response).catch((error: unknown) => {
    if (!(error instanceof DOMException && error.name === "QuotaExceededError")) throw error;
  });
}

/** All of them, one after another. Rejects with a Failure where one is damaged or does not come. */
export async function readFiles(
  { files }: Export,
  tell: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<LoadedFile[]> {
  const store = await caches.open(STORE);
  const progress = { done: 0, total: files.reduce((sum, file) => sum + file.bytes, 0), loaded: 0 };
  const add = (done: number, fresh: number): void => {
    progress.done += done;
    progress.loaded += fresh;
    tell({ ...progress });
  };
  const read: LoadedFile[] = [];
  for (const file of files) {
    const there = await kept(store, file);
    if (there !== null) add(file.bytes, 0);
    const bytes = there ?? (await loaded(file, (count) => add(count, count), signal));
    if (there === null) await keep(store, file, bytes);
    read.push({ name: file.name, bytes });
  }
  return read;
}

/** Bytes of all files that are kept, of whatever export. */
export async function keptBytes(): Promise<number> {
  if (!(await caches.has(STORE))) return 0;
  const store = await caches.open(STORE);
  const found = await Promise.all((await store.keys()).map((request) => store.match(request)));
  return found.reduce((sum, response) => sum + Number(response?.headers.get("content-length") ?? 0), 0);
}

export const forgetFiles = (): Promise<boolean> => caches.delete(STORE);
