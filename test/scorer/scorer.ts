// The scorer's real bundle in workerd, with a real artifact in its R2 bucket.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PYTHON, inRoot } from "../../scripts/paths.ts";
import * as stack from "../../scripts/stack/scorer.ts";
import type { Bucket } from "../../scripts/stack/scorer.ts";
import type { ScorerApi } from "../../src/scorer/api.ts";
import type { EdgeArtifact, Precision } from "../../src/wire/exports.ts";
import type { FileRef } from "../../src/wire/blobs.ts";

export function python(script: string, args: string[], input = ""): string {
  const run = spawnSync(PYTHON, [inRoot("test", script), ...args], { encoding: "utf8", input, maxBuffer: 1 << 30 });
  if (run.status !== 0) throw new Error(`${script}: ${run.stderr}`);
  return run.stdout;
}

/** A tiny model and its artifact, each in a folder. */
export function exportTiny(folder: string, precision: Precision = "fp32"): { model: string; artifact: string } {
  const [model, artifact] = [join(folder, "model"), join(folder, "artifact")];
  // The runtime's attention wants heads of a multiple of 8 wide: here they are 16.
  python("e2e/tiny_model.py", [model, "64"]);
  const args = ["-m", "understudy_worker", "export", "--model", model, "--precision", precision, "--out", artifact];
  const run = spawnSync(PYTHON, args, { cwd: inRoot("gpu-worker"), encoding: "utf8" });
  if (run.status !== 0) throw new Error(`export: ${run.stderr}`);
  return { model, artifact };
}

/** Parts of a file: two of a larger one, so that both cases are met. */
const PART_BYTES = 40_000;

export interface ScorerHarness {
  scorer: ScorerApi;
  bucket: Bucket;
  /** Stores the files of a folder that an export wrote. */
  store(folder: string): Promise<EdgeArtifact>;
  /** What the Workers logged. */
  logs(): string;
  stop(): Promise<void>;
}

export async function startScorer(): Promise<ScorerHarness> {
  const { call, bucket, logs, stop } = await stack.startScorer();
  return {
    scorer: {
      score: async (ask) => (await call("score", ask)) as never,
      generate: async (ask) => (await call("generate", ask)) as never,
    },
    bucket,
    store: (folder) => storeArtifact(bucket, folder),
    logs,
    stop,
  };
}

async function storeArtifact(bucket: Bucket, folder: string): Promise<EdgeArtifact> {
  const { model } = JSON.parse(readFileSync(join(folder, "export.json"), "utf8")) as { model: EdgeArtifact["model"] };
  const names = readdirSync(folder).filter((name) => name !== "export.json");
  return {
    model,
    files: await Promise.all(names.map((name) => storeFile(bucket, name, readFileSync(join(folder, name))))),
  };
}

export const storeFile = (bucket: Bucket, name: string, content: Uint8Array): Promise<FileRef> =>
  stack.storeFile(bucket, name, content, PART_BYTES);

export function temporary(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "understudy-scorer-"));
  return { folder, remove: () => rmSync(folder, { recursive: true }) };
}
