// samples: drawn responses are journaled, and their blob seen complete in R2, before the first step that reads them.
import { pointTo } from "../blobs.ts";
import { decideSamples } from "../journal.ts";
import type { WorkerRow } from "../tables/workers.ts";
import type { Turn } from "../turn.ts";
import { heldRunLease, reply } from "./held.ts";
import type { FrameOf, Look, Reply } from "./held.ts";

/** `stored`: whether the blob is complete; null before anybody has looked. */
export function onSamples(
  turn: Turn,
  worker: WorkerRow,
  frame: FrameOf<"samples">,
  stored: boolean | null,
): Reply | Look {
  const held = heldRunLease(turn, worker, frame);
  if (held === null) return reply("stale_fence");
  const { run } = held;
  const { source, n, blob } = frame.samples;
  const there = turn.tables.samples.at(run.id, frame.samples);
  const decision = decideSamples(frame.samples, { there: there?.blob.sha256 ?? null, head: run.head });
  if (decision === "gap") return reply("gap", run.head);
  if (decision === "duplicate") return reply("duplicate");
  if (stored === null) return { prefix: `${run.project}/${run.id}/${frame.fence}/`, blobs: [blob] };
  if (!stored) return { violation: "names a blob that is not stored under the run's prefix, or has another size" };
  turn.tables.samples.insert({ run: run.id, lineage: run.lineage, source, n, blob, superseded: false });
  pointTo(turn, `samples ${run.id} ${run.lineage} ${source} ${n}`, [blob]);
  return reply("ok");
}
