// When a run leaves its fingerprint, or a worker leaves the run.
import { endLease, endRun, setBack } from "./endings.ts";
import { notReproducible } from "./journal.ts";
import type { Fingerprint } from "../wire/pool.ts";
import { recordEvent, recordRun, recordStep } from "./record.ts";
import type { JobRow } from "./tables/jobs.ts";
import type { RunRow } from "./tables/runs.ts";
import type { WorkerRow } from "./tables/workers.ts";
import type { Turn } from "./turn.ts";
import { iso } from "./turn.ts";

/** A worker of another fingerprint takes over at the last resume state: what came after it is kept, superseded. */
export function openLineage(turn: Turn, run: RunRow, { digest, engine }: Fingerprint): void {
  const { runs, steps, states, samples } = turn.tables;
  const from = states.resumes(run.id)[0]?.step ?? 0;
  const lost = steps.after(run.id, from);
  steps.patch({ superseded: true }, "run = ? AND superseded = 0 AND n > ?", run.id, from);
  states.patch({ superseded: true }, "run = ? AND kind = 'checkpoint' AND superseded = 0 AND step > ?", run.id, from);
  samples.supersede(run.id, from);
  const lineage = run.lineage + 1;
  const reason =
    engine > run.engine
      ? `its workers were upgraded from engine ${run.engine} to ${engine}, which computes other bits`
      : "no worker of the run's fingerprint came back in time";
  const entry = { lineage, from, reason, at: iso(turn.now) };
  runs.update(run.id, {
    lineage,
    fingerprint: digest,
    engine,
    head: from,
    head_hash: from === 0 ? null : (steps.at(run.id, from)?.hash ?? null),
    state_sha256: null,
    breaks: [...run.breaks, entry],
    waiting_since: null,
  });
  for (const step of lost) recordStep(turn, run.project, { ...step, superseded: true });
  recordEvent(turn, run.id, { type: "lineage_break", data: entry });
  recordRun(turn, run.id);
}

/** The boot's bits are not the journal's: it gets the run no more. A second one of its fingerprint ends the run. */
export function shutOut(turn: Turn, job: JobRow, run: RunRow, worker: WorkerRow, n: number): void {
  const { shutouts } = turn.tables;
  const fingerprint = worker.fingerprint.digest;
  shutouts.put({ run: run.id, boot: worker.boot, fingerprint, lineage: run.lineage, n });
  if (notReproducible(shutouts.of(run.id), run.lineage, fingerprint)) {
    endLease(turn, job, false);
    const message = `step ${n} came out differently on two workers of the same fingerprint`;
    endRun(turn, run.id, "failed", { code: "not_reproducible", message, retryable: false });
  } else {
    setBack(turn, job, { kind: "interruption", detail: `step ${n} came out differently on another worker` });
  }
}
