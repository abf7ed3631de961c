// The scorer's real bundle in workerd, with a real artifact in its R2 bucket.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { Log, LogLevel, Miniflare } from "miniflare";
import { build } from "../../scripts/build.ts";
import { PYTHON, inRoot } from "../../scripts/paths.ts";
import { scorerWorker } from "../../scripts/stack/edge.ts";
import type { ScorerApi } from "../../src/scorer/api.ts";
import type { EdgeArtifact } from "../../src/wire/exports.ts";
import type { FileRef } from "../../src/wire/blobs.ts";

export function python(script: string, args: string[], input = ""): string {
  const run = spawnSync(PYTHON, [inRoot("test", script), ...args], { encoding: "utf8", input, maxBuffer: 1 << 30 });
  if (run.status !== 0) throw new Error(`${script}: ${run.stderr}`);
  return run.stdout;
}

/** A tiny model and its artifact, each in a folder. */
export function exportTiny(folder: string): { model: string; artifact: string } {
  const [model, artifact] = [join(folder, "model"), join(folder, "artifact")];
  // The runtime's attention wants heads of a multiple of 8 wide: here they are 16.
  python("e2e/tiny_model.py", [model, "64"]);
  const args = ["-m", "understudy_worker", "export", "--model", model, "--precision", "fp32", "--out", artifact];
  const run = spawnSync(PYTHON, args, { cwd: inRoot("gpu-worker"), encoding: "utf8" });
  if (run.status !== 0) throw new Error(`export: ${run.stderr}`);
  return { model, artifact };
}

/** Parts of a file: two of a larger one, so that both cases are met. */
const PART_BYTES = 40_000;

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

export interface ScorerHarness {
  scorer: ScorerApi;
  bucket: R2;
  /** Stores the files of a folder that an export wrote. */
  store(folder: string): Promise<EdgeArtifact>;
  /** What the Workers logged. */
  logs(): string;
  stop(): Promise<void>;
}

type R2 = Awaited<ReturnType<Miniflare["getR2Bucket"]>>;

const DRIVER = `
  export default {
    async fetch(request, env) {
      const { method, ask } = await request.json();
      return Response.json(await env.SCORER[method](ask));
    },
  };`;

export async function startScorer(): Promise<ScorerHarness> {
  build();
  let logged = "";
  const edge = new Miniflare({
    cf: false,
    telemetry: { enabled: false },
    log: new Log(LogLevel.NONE),
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
      },
      scorerWorker(),
    ],
  });
  const url = await edge.ready;
  const bucket = await edge.getR2Bucket("BLOBS", "understudy-scorer");
  const call = async (method: string, ask: object) =>
    (await fetch(url, { method: "POST", body: JSON.stringify({ method, ask }) })).json() as never;
  return {
    scorer: { score: (ask) => call("score", ask), generate: (ask) => call("generate", ask) },
    bucket,
    store: (folder) => storeArtifact(bucket, folder),
    logs: () => logged,
    stop: () => edge.dispose(),
  };
}

async function storeArtifact(bucket: R2, folder: string): Promise<EdgeArtifact> {
  const { model } = JSON.parse(readFileSync(join(folder, "export.json"), "utf8")) as { model: EdgeArtifact["model"] };
  const names = readdirSync(folder).filter((name) => name !== "export.json");
  return {
    model,
    files: await Promise.all(names.map((name) => storeFile(bucket, name, readFileSync(join(folder, name))))),
  };
}

export async function storeFile(bucket: R2, name: string, content: Uint8Array): Promise<FileRef> {
  const parts = [];
  for (let at = 0; at < content.length; at += PART_BYTES) {
    const bytes = content.subarray(at, at + PART_BYTES);
    const part = { key: `p/run/1/${sha256(bytes)}`, bytes: bytes.length, sha256: sha256(bytes) };
    await bucket.put(part.key, bytes);
    parts.push(part);
  }
  return { name, bytes: content.length, sha256: sha256(content), parts };
}

export function temporary(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "understudy-scorer-"));
  return { folder, remove: () => rmSync(folder, { recursive: true }) };
}
