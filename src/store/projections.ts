// Tables that follow the pool: each upsert applies only where its revision is newer, so that order and repeats do not matter.
import { and, eq, like, or, sql } from "drizzle-orm";
import type { OutboxEntry } from "./outbox.ts";
import type { Database } from "./database.ts";
import {
  checkpoints,
  comparisons,
  edgeExports,
  evaluations,
  jobs,
  logprobs,
  models,
  records,
  runs,
  steps,
  usage,
} from "./schema.ts";

type Entry<K extends OutboxEntry["kind"]> = Extract<OutboxEntry, { kind: K }>;

const at = (timestamp: string): number => Date.parse(timestamp);

export const applyJob = (db: Database, { project, rev, job }: Entry<"job">) => {
  const row = { rev, kind: job.kind, status: job.status, body: job };
  return db
    .insert(jobs)
    .values({ id: job.id, project, createdAt: at(job.created_at), ...row })
    .onConflictDoUpdate({ target: jobs.id, set: row, setWhere: sql`${jobs.rev} < ${rev}` });
};

export const applyRun = (db: Database, { project, rev, run }: Entry<"run">) => {
  const row = { rev, status: run.status, dataset: run.dataset, body: run };
  return db
    .insert(runs)
    .values({ id: run.id, project, createdAt: at(run.created_at), ...row })
    .onConflictDoUpdate({ target: runs.id, set: row, setWhere: sql`${runs.rev} < ${rev}` });
};

export const applyStep = (db: Database, { project, rev, step }: Entry<"step">) =>
  db
    .insert(steps)
    .values({ run: step.run, lineage: step.lineage, step: step.step, project, rev, body: step })
    .onConflictDoUpdate({
      target: [steps.run, steps.lineage, steps.step],
      set: { rev, body: step },
      setWhere: sql`${steps.rev} < ${rev}`,
    });

export const applyCheckpoint = (db: Database, { project, rev, checkpoint }: Entry<"checkpoint">) => {
  const bytes = checkpoint.files.reduce((sum, file) => sum + file.bytes, 0);
  const row = { rev, bytes, body: checkpoint };
  return db
    .insert(checkpoints)
    .values({ id: checkpoint.id, run: checkpoint.run, project, createdAt: at(checkpoint.created_at), ...row })
    .onConflictDoUpdate({ target: checkpoints.id, set: row, setWhere: sql`${checkpoints.rev} < ${rev}` });
};

/** Its files never change, so whichever entry comes first stays. */
export const applyExport = (db: Database, entry: Entry<"export">) => {
  const { project, job, checkpoint, at: createdAt, output } = entry;
  const { model, difference, files } = output;
  return db
    .insert(edgeExports)
    .values({ id: job, project, checkpoint, precision: model.precision, model, difference, files, createdAt })
    .onConflictDoNothing();
};

export const applyUsage = (db: Database, { project, rev, day, meter, total }: Entry<"usage">) =>
  db
    .insert(usage)
    .values({ project, day, meter, rev, total })
    .onConflictDoUpdate({
      target: [usage.project, usage.day, usage.meter],
      set: { rev, total },
      setWhere: sql`${usage.rev} < ${rev}`,
    });

/** What a worker found out about a model. A failure does not undo an earlier success. */
export const applyModel = (db: Database, { project, model, outcome }: Entry<"model">) => {
  const mine = and(eq(models.id, model), eq(models.project, project));
  if ("error" in outcome) {
    return db
      .update(models)
      .set({ status: "failed", error: outcome.error })
      .where(and(mine, sql`${models.status} <> 'ready'`));
  }
  const { facts } = outcome;
  const ref = sql`json_set(${models.ref}, '$.weights_digest', ${facts.weights_digest})`;
  return db.update(models).set({ status: "ready", facts, ref, error: null }).where(mine);
};

/** A tombstone belongs to no project and is newer than any revision: what comes late does not bring the thing back. */
const TOMBSTONE = { project: "", rev: Number.MAX_SAFE_INTEGER, status: "deleted", dataset: "", createdAt: 0 };
const NOTHING = sql`'null'`;

export async function buryRun(db: Database, id: string): Promise<void> {
  const gone = { ...TOMBSTONE, body: NOTHING };
  const digests = db
    .select({ project: checkpoints.project, digest: sql`json_extract(${checkpoints.body}, '$.sha256')` })
    .from(checkpoints)
    .where(eq(checkpoints.run, id));
  await db.batch([
    db
      .insert(runs)
      .values({ id, ...gone })
      .onConflictDoUpdate({ target: runs.id, set: gone }),
    db.delete(steps).where(eq(steps.run, id)),
    db.delete(logprobs).where(sql`(${logprobs.project}, ${logprobs.weightsDigest}) in ${digests}`),
    db.delete(checkpoints).where(eq(checkpoints.run, id)),
    db.delete(edgeExports).where(like(edgeExports.checkpoint, `${id}@%`)),
  ]);
}

export async function buryEvaluation(db: Database, id: string): Promise<void> {
  const gone = {
    ...TOMBSTONE,
    model: "",
    board: "",
    identity: null,
    metrics: null,
    body: NOTHING,
    requestDigest: null,
  };
  await db.batch([
    db
      .insert(evaluations)
      .values({ id, ...gone })
      .onConflictDoUpdate({ target: evaluations.id, set: gone }),
    db.delete(records).where(eq(records.evaluation, id)),
    db.delete(comparisons).where(or(eq(comparisons.a, id), eq(comparisons.b, id))),
  ]);
}

/** Whether the run was deleted: its late steps and checkpoints are dropped. */
export async function isBuriedRun(db: Database, id: string): Promise<boolean> {
  const found = await db.select({ status: runs.status }).from(runs).where(eq(runs.id, id)).limit(1);
  return found[0]?.status === TOMBSTONE.status;
}

/** Whether the evaluation was deleted: its late items are dropped. */
export async function isBuriedEvaluation(db: Database, id: string): Promise<boolean> {
  const found = await db
    .select({ status: evaluations.status })
    .from(evaluations)
    .where(eq(evaluations.id, id))
    .limit(1);
  return found[0]?.status === TOMBSTONE.status;
}
