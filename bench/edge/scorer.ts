// An exported student in the real scorer, asked through its binding.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { startScorer } from "../../scripts/stack/scorer.ts";
import type { ScorerProcess } from "../../scripts/stack/scorer.ts";
import type { EdgeArtifact } from "../../src/wire/exports.ts";
import { store } from "./exports.ts";
import type { Exported } from "./exports.ts";
import type { Text } from "./texts.ts";

const Answer = z.union([
  z.object({ ok: z.literal(true) }),
  z.object({ ok: z.literal(false), code: z.string(), message: z.string() }),
]);

/** Why the scorer does not take this text, or null where it has scored it. */
export async function refusalOf(scorer: ScorerProcess, artifact: EdgeArtifact, text: Text): Promise<string | null> {
  const items = [{ prompt: text.prompt, responses: [text.response] }];
  const maxLength = artifact.model.context_length;
  const answer = Answer.parse(await scorer.call("score", { artifact, template: "raw", maxLength, items }));
  if (answer.ok) return null;
  if (answer.code === "internal") throw new Error(`${answer.message}: ${scorer.logs()}`);
  return answer.message;
}

/** Milliseconds of one score. */
export async function timeOf(scorer: ScorerProcess, artifact: EdgeArtifact, text: Text): Promise<number> {
  const began = performance.now();
  const refusal = await refusalOf(scorer, artifact, text);
  if (refusal !== null) throw new Error(refusal);
  return performance.now() - began;
}

/** Runs `measure` with the export's files in a bucket on disk, which several scorers may be started on, one after another:
 * what storing took is in the memory of none of them. */
export async function stored<T>(
  exported: Exported,
  measure: (start: () => Promise<ScorerProcess>, artifact: EdgeArtifact) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "understudy-bench-"));
  try {
    const first = await startScorer(folder);
    const artifact = await store(first.bucket, exported).finally(() => first.stop());
    return await measure(() => startScorer(folder), artifact);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs `use` on a scorer that is stopped afterwards. */
export async function using<T>(start: () => Promise<ScorerProcess>, use: (scorer: ScorerProcess) => Promise<T>) {
  const scorer = await start();
  return use(scorer).finally(() => scorer.stop());
}
