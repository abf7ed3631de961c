// Jobs, workers, keys, usage: the service's own resources.
import { z } from "zod";
import { Failure, Id, Name, Status, Timestamp, listOf } from "./common.ts";
import { JobKind } from "./payloads.ts";

export const Job = z
  .strictObject({
    id: Id,
    object: z.enum(["job"]),
    created_at: Timestamp,
    kind: JobKind,
    status: Status,
    position: z
      .union([z.int().min(0), z.null()])
      .meta({ description: "jobs ahead in the queue, counted up to 200; null once leased" }),
    attempts: z.int().min(0),
    workers_available: z
      .int()
      .min(0)
      .meta({ description: "connected workers that could take it; 0: it waits for one" }),
    progress: z.union([z.strictObject({ phase: z.string(), done: z.int().min(0), total: z.int().min(0) }), z.null()]),
    subject: z
      .union([z.string(), z.null()])
      .meta({ description: "the run, evaluation or model that the job is about" }),
    retry_of: z.union([Id, z.null()]),
    result: z.unknown().meta({ description: "the body that a 200 would have had; null until completed" }),
    error: z.union([Failure, z.null()]),
    note: z
      .union([z.string(), z.null()])
      .meta({ description: "what a reader could misread, such as a job that waits for a worker" }),
  })
  .meta({ id: "Job" });

export const JobList = listOf(Job).meta({ id: "JobList" });

export const WorkerInfo = z
  .strictObject({
    id: Id,
    object: z.enum(["worker"]),
    name: z.string(),
    created_at: Timestamp,
    status: z.enum(["connected", "draining"]),
    kinds: z.array(JobKind),
    models: z.array(z.string()),
    device: z.string(),
    fingerprint: z.string(),
    slots: z.int().meta({ description: "long jobs at one time" }),
    requests: z.int().meta({ description: "scores and completions in hand beside them" }),
    leases: z.array(Id),
    last_seen_at: Timestamp,
  })
  .meta({ id: "WorkerInfo" });

export const WorkerList = listOf(WorkerInfo).meta({ id: "WorkerList" });

export const Role = z.enum(["admin", "write", "read", "worker"]).meta({ id: "Role" });

export const CreateKey = z.strictObject({ name: Name, role: Role }).meta({ id: "CreateKey" });

export const Key = z
  .strictObject({
    id: Id,
    object: z.enum(["key"]),
    created_at: Timestamp,
    name: Name,
    role: Role,
    secret: z.union([z.string(), z.null()]).meta({ description: "shown once, in the answer that creates the key" }),
  })
  .meta({ id: "Key" });

export const KeyList = listOf(Key).meta({ id: "KeyList" });

export const CreateProject = z
  .strictObject({ name: Name, retention_days: z.union([z.int().min(1).max(3650), z.null()]).default(null) })
  .meta({ id: "CreateProject" });

export const Project = z
  .strictObject({
    id: Id,
    object: z.enum(["project"]),
    created_at: Timestamp,
    name: Name,
    retention_days: z.union([z.int(), z.null()]),
    admin_key: z.union([z.string(), z.null()]),
  })
  .meta({ id: "Project" });

export const UsageDay = z
  .strictObject({
    day: z.string().regex(/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/),
    tokens_scored: z.int().min(0),
    tokens_generated: z.int().min(0),
    tokens_trained: z.int().min(0),
  })
  .meta({ id: "UsageDay" });

export const Usage = z
  .strictObject({
    object: z.enum(["usage"]),
    data: z.array(UsageDay),
    bytes_stored: z.int().min(0),
  })
  .meta({ id: "Usage" });

export const Deleted = z
  .strictObject({ id: z.string(), object: z.string(), deleted: z.literal(true) })
  .meta({ id: "Deleted" });

export const Health = z
  .strictObject({ status: z.enum(["ok"]), version: z.string(), d1: z.enum(["ok"]), pool: z.enum(["ok"]) })
  .meta({ id: "Health" });

export type Job = z.infer<typeof Job>;
export type WorkerInfo = z.infer<typeof WorkerInfo>;
export type Role = z.infer<typeof Role>;
export type Key = z.infer<typeof Key>;
export type Project = z.infer<typeof Project>;
export type Usage = z.infer<typeof Usage>;
