// Tables of what runs without a GPU: models' exports, and log-probabilities that were computed before.
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import type { FileRef } from "../wire/blobs.ts";
import type { Difference, EdgeModel, Precision } from "../wire/exports.ts";
import type { ResponseLogprobs } from "../wire/payloads.ts";

const createdAt = integer("created_at").notNull();

/** Artifacts for the edge: one of each checkpoint and precision, the first that was made. */
export const edgeExports = sqliteTable(
  "exports",
  {
    id: text("id").primaryKey(),
    project: text("project").notNull(),
    checkpoint: text("checkpoint").notNull(),
    precision: text("precision").$type<Precision>().notNull(),
    model: text("model", { mode: "json" }).$type<EdgeModel>().notNull(),
    difference: text("difference", { mode: "json" }).$type<Difference>().notNull(),
    files: text("files", { mode: "json" }).$type<FileRef[]>().notNull(),
    createdAt,
  },
  (table) => [uniqueIndex("exports_of").on(table.project, table.checkpoint, table.precision)],
);

/** Log-probabilities of responses, kept: a model's weights never change, so they are computed once. */
export const logprobs = sqliteTable(
  "logprobs",
  {
    project: text("project").notNull(),
    /** Digest of all that determines them. */
    key: text("key").notNull(),
    weightsDigest: text("weights_digest").notNull(),
    body: text("body", { mode: "json" }).$type<ResponseLogprobs>().notNull(),
    createdAt,
  },
  (table) => [
    primaryKey({ columns: [table.project, table.key] }),
    index("logprobs_model").on(table.project, table.weightsDigest),
    index("logprobs_age").on(table.createdAt),
  ],
);
