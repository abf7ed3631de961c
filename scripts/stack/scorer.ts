// The scorer alone in a workerd of its own, behind a Worker that passes calls on: for tests and benchmarks of it.
import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import { Log, LogLevel, Miniflare } from "miniflare";
import { MAX_BLOB_BYTES } from "../../src/config.ts";
import type { GenerateAsk, ScoreAsk, ScorerApi } from "../../src/scorer/api.ts";
import type { FileRef } from "../../src/wire/blobs.ts";
import { build } from "../build.ts";
import { BUCKETS, scorerWorker } from "./edge.ts";
import { childrenOf } from "./hold.ts";

export type Bucket = Awaited<ReturnType<Miniflare["getR2Bucket"]>>;

export interface ScorerProcess {
  call: (method: keyof ScorerApi, ask: ScoreAsk | GenerateAsk) => Promise<unknown>;
  /** Reads blobs as the scorer would, and drops what it reads. */
  read: (keys: readonly string[]) => Promise<void>;
  /** Its R2 bucket. */
  bucket: Bucket;
  pid: number;
  /** What the Workers logged. */
  logs: () => string;
  stop: () => Promise<void>;
}

const DRIVER = `
  export default {
    async fetch(request, env) {
      const { method, ask, keys } = await request.json();
      if (method !== undefined) return Response.json(await env.SCORER[method](ask));
      for (const key of keys) for await (const piece of (await env.BLOBS.get(key)).body);
      return Response.json(null);
    },
  };`;

/** `folder` keeps its R2 bucket; without one it is gone with the process. */
export async function startScorer(folder?: string): Promise<ScorerProcess> {
  build();
  let logged = "";
  const before = childrenOf(process.pid, "workerd");
  const edge = new Miniflare({
    cf: false,
    telemetry: { enabled: false },
    log: new Log(LogLevel.NONE),
    ...(folder === undefined ? {} : { r2Persist: folder }),
    handleRuntimeStdio: (stdout: Readable, stderr: Readable) => {
      for (const stream of [stdout, stderr]) stream.setEncoding("utf8").on("data", (text: string) => (logged += text));
    },
    workers: [
      {
        name: "driver",
        modules: true,
        compatibilityDate: "2026-07-30",
        script: DRIVER,
        serviceBindings: { SCORER: { name: "understudy-scorer", entrypoint: "Scorer" } },
        r2Buckets: BUCKETS,
      },
      scorerWorker(),
    ],
  });
  const url = await edge.ready;
  const [pid] = childrenOf(process.pid, "workerd").filter((child) => !before.includes(child));
  if (pid === undefined) throw new Error("workerd is no child of this process");
  // A connection of its own each time: workerd closes one that has been idle for a few seconds, as it is used again.
  const headers = { connection: "close" };
  const send = async (asked: object): Promise<unknown> =>
    (await fetch(url, { method: "POST", headers, body: JSON.stringify(asked) })).json();
  return {
    call: (method, ask) => send({ method, ask }),
    read: async (keys) => {
      await send({ keys });
    },
    bucket: await edge.getR2Bucket("BLOBS", "understudy-scorer"),
    pid,
    logs: () => logged,
    stop: () => edge.dispose(),
  };
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** As an export's job stores it: in parts, each by its digest. */
export async function storeFile(
  bucket: Bucket,
  name: string,
  content: Uint8Array,
  partBytes = MAX_BLOB_BYTES,
): Promise<FileRef> {
  const parts = [];
  for (let at = 0; at < content.length; at += partBytes) {
    const bytes = content.subarray(at, at + partBytes);
    const part = { key: `p/run/1/${sha256(bytes)}`, bytes: bytes.length, sha256: sha256(bytes) };
    await bucket.put(part.key, bytes);
    parts.push(part);
  }
  return { name, bytes: content.length, sha256: sha256(content), parts };
}
