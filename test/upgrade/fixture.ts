// Fixtures: what a released version stored, and what it would have made of it.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { z } from "zod";
import { PYTHON } from "../../scripts/paths.ts";
import { Outcome } from "./outcome.ts";

/** What bits of training and generation depend on, as the worker tells the pool. */
const Fingerprint = z.looseObject({
  torch: z.string(),
  device: z.string(),
  cpu_capability: z.string(),
  threads: z.int(),
  engine: z.int().default(0),
  digest: z.string(),
});
export type Fingerprint = z.infer<typeof Fingerprint>;

const Key = z.object({ id: z.string(), name: z.string(), role: z.string() });

export const Expected = z.object({
  version: z.string(),
  commit: z.string(),
  /** Unix ms. */
  killed_at: z.int(),
  project: z.object({ id: z.string(), name: z.string() }),
  /** Keys that the state knows, by id; the secrets of two. */
  keys: z.array(Key),
  secrets: z.object({ admin: z.string(), reader: z.string() }),
  fingerprint: Fingerprint,
  /** What the same version's stack made of the state. */
  outcome: Outcome,
});
export type Expected = z.infer<typeof Expected>;

export interface Fixture {
  /** State folder of a stack, and the model that its workers declare. */
  state: string;
  models: { tiny: string };
  expected: Expected;
}

/** A fixture is committed: at most so many bytes. */
export const MAX_BYTES = 2_000_000;

export const archiveOf = (name: string): string => join(import.meta.dirname, "fixtures", `${name}.tar.gz`);

/** Unpacks a fixture, such as "0.1.0", into a folder. */
export function openFixture(name: string, folder: string): Fixture {
  mkdirSync(folder, { recursive: true });
  const tar = spawnSync("tar", ["-xf", "-", "-C", folder], { input: gunzipSync(readFileSync(archiveOf(name))) });
  if (tar.status !== 0) throw new Error(`tar: ${tar.stderr.toString()}`);
  return {
    state: join(folder, "state"),
    models: { tiny: join(folder, "tiny") },
    expected: Expected.parse(JSON.parse(readFileSync(join(folder, "expected.json"), "utf8"))),
  };
}

const PRINT = `
from understudy_worker.backend import configure, fingerprint
print(fingerprint(configure(1)).model_dump_json())`;

/** The fingerprint of this checkout's worker on this machine, with one thread. Bits may be compared with a fixture's
 * where `digest` is equal. */
export function ownFingerprint(): Fingerprint {
  const run = spawnSync(PYTHON, ["-c", PRINT], { encoding: "utf8" });
  if (run.status !== 0) throw new Error(run.stderr);
  return Fingerprint.parse(JSON.parse(run.stdout));
}
