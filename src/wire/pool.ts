// The frames between the pool and its workers: one JSON object a WebSocket text frame, at most 1 MiB.
// Every frame of a worker carries `seq`; the pool answers each with exactly one `ack` whose `re` is that number.
import { z } from "zod";
import { BlobRef } from "./blobs.ts";
import { Id, Sha256 } from "./common.ts";
import { GeneratedItem } from "./batches.ts";
import { JobKind, Output, Payload, TokenLogprobs } from "./payloads.ts";
import { ScoredPair } from "./pairs.ts";
import { RowsReport, StepMetrics, StoredState } from "./runs.ts";
import { SamplesRef } from "./samples.ts";

const Seq = z.int().min(1);
const Fence = z.int().min(1);
const LineageOrNull = z.union([z.int().min(0), z.null()]);
const Protocol = z.int().min(1);

/** What this code speaks. Protocol 2: plans with `share_prefixes`, more than 64 leases. */
export const PROTOCOLS = { least: 1, newest: 2 } as const;

/** Room of one worker: leases of long jobs, and of requests beside them. */
const MAX_SLOTS = 64;
const MAX_REQUESTS = 256;
const MAX_LEASES = MAX_SLOTS + MAX_REQUESTS;
/** What protocol 1 can name in one frame. */
export const FIRST_PROTOCOL_LEASES = 64;

/** All that bit-exactness holds within; `digest` is what is compared. */
export const Fingerprint = z
  .strictObject({
    torch: z.string(),
    device: z.string(),
    cpu_capability: z.string(),
    math: z.string(),
    threads: z.int().min(1),
    world_size: z.int().min(1),
    attention: z.string(),
    compile: z.string(),
    engine: z.int().min(0).default(0),
    digest: Sha256,
  })
  .meta({
    id: "Fingerprint",
    description: "engine: raised by hand whenever the worker's code changes the bits of training; 0 in 0.1.0",
  });

export const Capabilities = z
  .strictObject({ kinds: z.array(JobKind).min(1), models: z.array(z.string()), device: z.string() })
  .meta({ id: "Capabilities", description: "models: the names that the worker's command line declares" });

const HeldRun = z
  .strictObject({ run: Id, lineage: z.int().min(0), head: z.int().min(0), hash: z.union([Sha256, z.null()]) })
  .meta({ id: "HeldRun" });
const HeldLease = z.strictObject({ job: Id, fence: Fence }).meta({ id: "HeldLease" });

export const Hello = z
  .strictObject({
    type: z.enum(["hello"]),
    seq: Seq,
    protocol: Protocol.meta({ description: "the newest that the worker speaks" }),
    protocol_least: z.union([Protocol, z.null()]).default(null).meta({ description: "the oldest; null: no other" }),
    worker: z.string().regex(/^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/),
    boot: z.string().regex(/^[0-9a-f]{32}$/),
    capabilities: Capabilities,
    fingerprint: Fingerprint,
    slots: z.int().min(1).max(MAX_SLOTS),
    requests: z
      .int()
      .min(1)
      .max(MAX_REQUESTS)
      .meta({ description: "leases of requests (score, complete, tokenize) at one time, beside the slots" }),
    runs: z.array(HeldRun).max(64),
    leases: z.array(HeldLease).max(MAX_LEASES),
  })
  .meta({ id: "Hello" });

const JobTick = z
  .strictObject({
    job: Id,
    fence: Fence,
    tick: z.int().min(0),
    phase: z.enum(["loading", "replaying", "working", "uploading"]),
    done: z.int().min(0),
    total: z.int().min(0),
  })
  .meta({ id: "JobTick" });

export const Progress = z
  .strictObject({ type: z.enum(["progress"]), seq: Seq, jobs: z.array(JobTick).max(MAX_LEASES) })
  .meta({ id: "Progress", description: "the only frame that renews a lease" });

const forRun = { seq: Seq, job: Id, run: Id, fence: Fence, lineage: z.int().min(0) };

export const Rows = z.strictObject({ type: z.enum(["rows"]), ...forRun, rows: RowsReport }).meta({ id: "Rows" });

export const StepDone = z
  .strictObject({
    type: z.enum(["step"]),
    ...forRun,
    n: z.int().min(1),
    prev: Sha256,
    hash: Sha256,
    metrics: StepMetrics,
  })
  .meta({ id: "StepDone" });

export const OutOfMemory = z
  .strictObject({
    type: z.enum(["oom"]),
    ...forRun,
    n: z.int().min(1),
    rows: z.int().min(1),
    tokens: z.int().min(1),
  })
  .meta({ id: "OutOfMemory", description: "the micro-batch that did not fit" });

/** Sent, and acknowledged, before the first step that reads them. `gap`: others are journaled for that block; reload. */
export const Samples = z
  .strictObject({ type: z.enum(["samples"]), ...forRun, samples: SamplesRef })
  .meta({ id: "Samples" });

export const Mismatch = z
  .strictObject({ type: z.enum(["mismatch"]), ...forRun, n: z.int().min(1), got: Sha256 })
  .meta({ id: "Mismatch", description: "a replayed step's hash is not the journal's" });

export const CheckpointDone = z
  .strictObject({ type: z.enum(["checkpoint"]), ...forRun, state: StoredState })
  .meta({ id: "CheckpointDone" });

export const ResumeStateDone = z
  .strictObject({ type: z.enum(["resume_state"]), ...forRun, state: StoredState })
  .meta({ id: "ResumeStateDone" });

export const Items = z
  .strictObject({
    type: z.enum(["items"]),
    seq: Seq,
    job: Id,
    fence: Fence,
    batch: z.int().min(0),
    items: z.array(GeneratedItem).min(1).max(32),
  })
  .meta({ id: "Items" });

/** What `items` is to an evaluation, of a preference evaluation. */
export const Pairs = z
  .strictObject({
    type: z.enum(["pairs"]),
    seq: Seq,
    job: Id,
    fence: Fence,
    batch: z.int().min(0),
    items: z.array(ScoredPair).min(1).max(32),
  })
  .meta({ id: "Pairs" });

/** `text` is what is new of a choice; `logprobs` of the new tokens, if they were asked for. */
const Piece = z
  .strictObject({
    item: z.int().min(0),
    sample: z.int().min(0),
    text: z.string(),
    logprobs: z.union([TokenLogprobs, z.null()]),
  })
  .meta({ id: "Piece" });

/** What a streamed completion has grown by since the delta before; `place` counts them from 0. */
export const Delta = z
  .strictObject({
    type: z.enum(["delta"]),
    seq: Seq,
    job: Id,
    fence: Fence,
    place: z.int().min(0),
    pieces: z.array(Piece).min(1).max(128),
  })
  .meta({ id: "Delta" });

/** Exactly one of `output` and `artifact` is not null: an output over 96 KB is a blob of its JSON. */
export const Result = z
  .strictObject({
    type: z.enum(["result"]),
    seq: Seq,
    job: Id,
    fence: Fence,
    lineage: LineageOrNull,
    output: z.union([Output, z.null()]),
    artifact: z.union([BlobRef, z.null()]),
  })
  .meta({ id: "Result" });

export const Fail = z
  .strictObject({
    type: z.enum(["fail"]),
    seq: Seq,
    job: Id,
    fence: Fence,
    lineage: LineageOrNull,
    code: z.string().regex(/^[a-z_]{1,64}$/),
    detail: z.string().max(4000),
    retryable: z.boolean(),
  })
  .meta({ id: "Fail", description: "the job cannot be done (retryable: by this attempt)" });

export const Refuse = z
  .strictObject({
    type: z.enum(["refuse"]),
    seq: Seq,
    job: Id,
    fence: Fence,
    reason: z.string().max(1000),
    retryable: z.boolean(),
  })
  .meta({ id: "Refuse", description: "this worker cannot take the lease; another may" });

export const FromWorker = z
  .discriminatedUnion("type", [
    Hello,
    Progress,
    Rows,
    StepDone,
    OutOfMemory,
    Samples,
    Mismatch,
    CheckpointDone,
    ResumeStateDone,
    Items,
    Pairs,
    Delta,
    Result,
    Fail,
    Refuse,
  ])
  .meta({ id: "FromWorker" });

export const Welcome = z
  .strictObject({
    type: z.enum(["welcome"]),
    re: Seq,
    protocol: Protocol.meta({ description: "what is spoken on this socket" }),
    worker: Id,
    lease_ms: z.int().min(1),
    contact_ms: z.int().min(1).meta({ description: "stop all work after this long without an ack of progress" }),
    progress_ms: z.int().min(1),
    reconcile: z.array(z.strictObject({ job: Id, fence: Fence, action: z.enum(["keep", "drop"]) })),
  })
  .meta({ id: "Welcome", description: "the ack of hello" });

/** Exactly one of `payload` and `artifact` is not null: a payload over 96 KB is a blob of its JSON. */
export const Lease = z
  .strictObject({
    type: z.enum(["lease"]),
    job: Id,
    project: Id,
    attempt: z.int().min(1),
    fence: Fence,
    lineage: LineageOrNull,
    ttl_ms: z.int().min(1),
    payload: z.union([Payload, z.null()]),
    artifact: z.union([BlobRef, z.null()]),
  })
  .meta({ id: "Lease" });

export const AckStatus = z
  .enum(["ok", "duplicate", "stale_fence", "gap", "diverged", "cancelled"])
  .meta({ id: "AckStatus" });

const JobAck = z.strictObject({ job: Id, status: AckStatus, ttl_ms: z.int().min(0) }).meta({ id: "JobAck" });

/** For `progress`, `jobs` tells each lease's state; else it is empty and `status` is about the frame's own job. */
export const Ack = z
  .strictObject({
    type: z.enum(["ack"]),
    re: Seq,
    status: AckStatus,
    head: z.union([z.int().min(0), z.null()]).meta({ description: "the run's head, where the status is gap" }),
    ttl_ms: z.union([z.int().min(0), z.null()]),
    jobs: z.array(JobAck),
  })
  .meta({ id: "Ack" });

export const Cancel = z.strictObject({ type: z.enum(["cancel"]), job: Id, fence: Fence }).meta({ id: "Cancel" });

export const Drain = z
  .strictObject({ type: z.enum(["drain"]), move_to: z.union([z.string(), z.null()]) })
  .meta({ id: "Drain", description: "finish the spans in hand, take no more, then leave" });

export const ToWorker = z.discriminatedUnion("type", [Welcome, Lease, Ack, Cancel, Drain]).meta({ id: "ToWorker" });

export type Fingerprint = z.infer<typeof Fingerprint>;
export type Hello = z.infer<typeof Hello>;
export type Delta = z.infer<typeof Delta>;
export type Progress = z.infer<typeof Progress>;
export type StepDone = z.infer<typeof StepDone>;
export type FromWorker = z.infer<typeof FromWorker>;
export type ToWorker = z.infer<typeof ToWorker>;
export type Lease = z.infer<typeof Lease>;
export type AckStatus = z.infer<typeof AckStatus>;
export type Ack = z.infer<typeof Ack>;
