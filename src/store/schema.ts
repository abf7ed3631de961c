// D1, the record. `runs`, `steps`, `checkpoints`, `exports`, `jobs`, `evaluations` (generated ones), `preference_evaluations` and `usage`
// follow the pool through the outbox: they have a `rev` and no foreign keys, since the outbox has no order. The others have their authority here.
import { sql } from "drizzle-orm";
import { index, integer, primaryKey, real, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { MetricName } from "../wire/evaluations.ts";
import type { Evaluation, EvaluationMetrics, EvaluationRecord, MetricValues } from "../wire/evaluations.ts";
import type { Failure, Prompt } from "../wire/common.ts";
import type { Dataset, SplitRef } from "../wire/datasets.ts";
import type { Job } from "../wire/jobs.ts";
import type { ModelFacts, ModelRef, ModelSource } from "../wire/models.ts";
import type { JudgedResponse, PreferenceEvaluation, PreferenceMetrics } from "../wire/preference-evaluations.ts";
import type { Checkpoint, Run, Step } from "../wire/runs.ts";

export * from "./schema-edge.ts";

/** A split with every 100th row's id and the byte at which the row after it begins: pages of 100 need no search. */
export type StoredSplit = SplitRef & { marks: { after: string; offset: number }[] };

/** Times are Unix milliseconds in the tables and ISO 8601 on the wire. */
const createdAt = integer("created_at").notNull();

export const projects = sqliteTable("projects", {
  id: text("id").primaryKey(),
  name: text("name").notNull().unique(),
  /** The name of the Durable Object that the project lives on, fixed at creation. */
  pool: text("pool").notNull(),
  retentionDays: integer("retention_days"),
  requestDigest: text("request_digest").notNull(),
  createdAt,
});

export const keys = sqliteTable(
  "keys",
  {
    id: text("id").primaryKey(),
    /** Null: a worker key of the operator's, shared by all projects of its pool. */
    project: text("project"),
    name: text("name").notNull(),
    role: text("role", { enum: ["admin", "write", "read", "worker"] }).notNull(),
    secretSha256: text("secret_sha256").notNull(),
    requestDigest: text("request_digest").notNull(),
    createdAt,
    revokedAt: integer("revoked_at"),
  },
  (table) => [index("keys_project").on(table.project, table.createdAt)],
);

export const models = sqliteTable(
  "models",
  {
    id: text("id").primaryKey(),
    project: text("project").notNull(),
    name: text("name").notNull(),
    source: text("source", { mode: "json" }).$type<ModelSource>().notNull(),
    /** What a worker is sent; its `weights_digest` is in `facts` once known. */
    ref: text("ref", { mode: "json" }).$type<ModelRef>().notNull(),
    status: text("status", { enum: ["queued", "ready", "failed"] }).notNull(),
    facts: text("facts", { mode: "json" }).$type<ModelFacts>(),
    job: text("job"),
    error: text("error", { mode: "json" }).$type<Failure>(),
    requestDigest: text("request_digest").notNull(),
    createdAt,
  },
  (table) => [
    uniqueIndex("models_name").on(table.project, table.name),
    index("models_list").on(table.project, table.createdAt),
  ],
);

export const datasets = sqliteTable(
  "datasets",
  {
    id: text("id").primaryKey(),
    project: text("project").notNull(),
    name: text("name").notNull(),
    body: text("body", { mode: "json" }).$type<Dataset>().notNull(),
    /** Each split as JSON Lines in R2. */
    splits: text("splits", { mode: "json" }).$type<StoredSplit[]>().notNull(),
    bytes: integer("bytes").notNull(),
    requestDigest: text("request_digest").notNull(),
    createdAt,
  },
  (table) => [
    uniqueIndex("datasets_name").on(table.project, table.name),
    index("datasets_list").on(table.project, table.createdAt),
  ],
);

export const runs = sqliteTable(
  "runs",
  {
    id: text("id").primaryKey(),
    project: text("project").notNull(),
    rev: integer("rev").notNull(),
    status: text("status").notNull(),
    dataset: text("dataset").notNull(),
    body: text("body", { mode: "json" }).$type<Run>().notNull(),
    createdAt,
  },
  (table) => [index("runs_list").on(table.project, table.createdAt)],
);

export const steps = sqliteTable(
  "steps",
  {
    run: text("run").notNull(),
    lineage: integer("lineage").notNull(),
    step: integer("step").notNull(),
    project: text("project").notNull(),
    rev: integer("rev").notNull(),
    body: text("body", { mode: "json" }).$type<Step>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.run, table.lineage, table.step] })],
);

export const checkpoints = sqliteTable(
  "checkpoints",
  {
    id: text("id").primaryKey(),
    run: text("run").notNull(),
    project: text("project").notNull(),
    rev: integer("rev").notNull(),
    bytes: integer("bytes").notNull(),
    body: text("body", { mode: "json" }).$type<Checkpoint>().notNull(),
    createdAt,
  },
  (table) => [index("checkpoints_run").on(table.project, table.run, table.createdAt)],
);

export const jobs = sqliteTable(
  "jobs",
  {
    id: text("id").primaryKey(),
    project: text("project").notNull(),
    rev: integer("rev").notNull(),
    kind: text("kind").notNull(),
    status: text("status").notNull(),
    body: text("body", { mode: "json" })
      .$type<Omit<Job, "result" | "position" | "workers_available" | "note">>()
      .notNull(),
    createdAt,
  },
  (table) => [index("jobs_list").on(table.project, table.createdAt)],
);

export const evaluations = sqliteTable(
  "evaluations",
  {
    id: text("id").primaryKey(),
    project: text("project").notNull(),
    rev: integer("rev").notNull(),
    status: text("status").notNull(),
    model: text("model").notNull(),
    dataset: text("dataset").notNull(),
    /** What makes two evaluations comparable: data set, split, template, limit, pattern, graders. One board each. */
    board: text("board").notNull(),
    /** What determines the evaluation; asking again returns it. Null for a repeat. */
    identity: text("identity"),
    metrics: text("metrics", { mode: "json" }).$type<EvaluationMetrics>(),
    body: text("body", { mode: "json" }).$type<Evaluation>().notNull(),
    requestDigest: text("request_digest"),
    createdAt,
  },
  (table) => [
    index("evaluations_board").on(table.project, table.board, table.status, table.model, table.createdAt),
    index("evaluations_list").on(table.project, table.createdAt),
    index("evaluations_identity").on(table.project, table.identity),
  ],
);

/** 1 right, 0 wrong, null skipped: of a record's `metrics`. The query must say the same for an index on it to be used. */
export const outcomeOf = (metric: MetricName) => sql.raw(`("metrics" ->> '${metric}' = 100)`);

export const records = sqliteTable(
  "records",
  {
    evaluation: text("evaluation").notNull(),
    item: text("item").notNull(),
    seed: integer("seed").notNull(),
    /** Order within the evaluation: the row's place in the split, then the seed's. */
    position: integer("position").notNull(),
    prompt: text("prompt", { mode: "json" }).$type<Prompt>().notNull(),
    references: text("references", { mode: "json" }).$type<string[]>().notNull(),
    response: text("response").notNull(),
    finishReason: text("finish_reason").$type<EvaluationRecord["finish_reason"]>(),
    numTokens: integer("num_tokens"),
    metrics: text("metrics", { mode: "json" }).$type<MetricValues>().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.evaluation, table.item, table.seed] }),
    index("records_position").on(table.evaluation, table.position),
    // The right or the wrong of one metric in order, however few they are among how many.
    ...MetricName.options.map((metric) =>
      index(`records_${metric}`).on(table.evaluation, outcomeOf(metric), table.position),
    ),
  ],
);

export const preferenceEvaluations = sqliteTable(
  "preference_evaluations",
  {
    id: text("id").primaryKey(),
    project: text("project").notNull(),
    rev: integer("rev").notNull(),
    status: text("status").notNull(),
    student: text("student").notNull(),
    teacher: text("teacher").notNull(),
    dataset: text("dataset").notNull(),
    /** What makes two of them comparable: `boardKey` of `store/preference-evaluations.ts`. */
    board: text("board").notNull(),
    metrics: text("metrics", { mode: "json" }).$type<PreferenceMetrics>(),
    body: text("body", { mode: "json" }).$type<PreferenceEvaluation>().notNull(),
    createdAt,
  },
  (table) => [
    index("preference_evaluations_board").on(
      table.project,
      table.board,
      table.status,
      table.student,
      table.teacher,
      table.createdAt,
    ),
    index("preference_evaluations_list").on(table.project, table.createdAt),
  ],
);

export const preferenceRecords = sqliteTable(
  "preference_records",
  {
    evaluation: text("evaluation").notNull(),
    item: text("item").notNull(),
    /** 0 where nothing was generated. */
    seed: integer("seed").notNull(),
    /** Order within the evaluation: the row's place in the split, then the seed's. */
    position: integer("position").notNull(),
    prompt: text("prompt", { mode: "json" }).$type<Prompt>().notNull(),
    chosen: text("chosen", { mode: "json" }).$type<JudgedResponse>().notNull(),
    rejected: text("rejected", { mode: "json" }).$type<JudgedResponse>().notNull(),
    margin: real("margin").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.evaluation, table.item, table.seed] }),
    index("preference_records_position").on(table.evaluation, table.position),
  ],
);

/** Paired tests between two evaluations of one board; immutable, since evaluations are. `a` < `b` as text. */
export const comparisons = sqliteTable(
  "comparisons",
  {
    a: text("a").notNull(),
    b: text("b").notNull(),
    metric: text("metric").notNull(),
    /** Null where too few items are graded in both. */
    p: real("p"),
    /** Standard deviation of the items' differences, points: what a detectable difference is made of. */
    sd: real("sd"),
    n: integer("n").notNull(),
  },
  (table) => [primaryKey({ columns: [table.a, table.b, table.metric] }), index("comparisons_b").on(table.b)],
);

export const usage = sqliteTable(
  "usage",
  {
    project: text("project").notNull(),
    day: text("day").notNull(),
    meter: text("meter").notNull(),
    rev: integer("rev").notNull(),
    total: integer("total").notNull(),
  },
  (table) => [primaryKey({ columns: [table.project, table.day, table.meter] })],
);
