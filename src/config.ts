// Every limit and timeout, with its unit and its reason. The local runtime enforces few of production's limits, so ours do.

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND = 1000;

export const VERSION = "0.2.0-dev";

/** A JSON body, bytes: parsed whole in a 128 MB isolate that serves others too. */
export const MAX_JSON_BYTES = 1 * MIB;
/** A data set upload, bytes: validated whole before anything is stored, twice in memory at the most. */
export const MAX_DATASET_BYTES = 32 * MIB;
/** Rows of a data set: the ids of all are held while looking for duplicates. */
export const MAX_DATASET_ROWS = 200_000;
/** One blob, bytes: R2 verifies SHA-256 on a plain put only; larger files are manifests of parts. */
export const MAX_BLOB_BYTES = 32 * MIB;
/** Payloads, outputs and results above this go to R2: a Durable Object row holds 2 MB, and a frame must stay small. */
export const MAX_INLINE_BYTES = 96 * KIB;
/** One WebSocket frame, bytes. */
export const MAX_FRAME_BYTES = 1 * MIB;
/** The first frame of a socket, its hello, bytes: nobody is known yet who would be to blame. */
export const MAX_HELLO_BYTES = 64 * KIB;
/** Frames of one socket a second, in the long run and at once; a large one counts for each of so many bytes. A worker sends a few
 * a second, and at most 50 deltas of what it streams. */
export const FRAMES_PER_S = 100;
export const FRAMES_AT_ONCE = 1000;
export const FRAME_UNIT_BYTES = 16 * KIB;
/** Sockets of one key: a machine has one. */
export const MAX_KEY_SOCKETS = 256;

/** What one turn of a pool may cost its thread, which all of its callers share: statements, rows read, characters parsed. */
export const TURN_STATEMENTS = 60;
export const TURN_ROWS = 500;
export const TURN_PARSED_CHARS = 128 * KIB;

/** Leases that one worker is given: it renews all of them in one frame, and that is one turn. */
export const MAX_BOOT_LEASES = 160;

/** Bound parameters of one D1 or Durable Object query. */
export const SQL_PARAMETERS = 100;

/** Lease of a job, ms on the pool's clock. */
export const LEASE_MS = 30 * SECOND;
/** A worker stops by itself after this long without contact, ms on its own monotonic clock: before the lease ends. */
export const CONTACT_MS = 20 * SECOND;
/** Interval of a worker's progress frames, ms. */
export const PROGRESS_MS = 5 * SECOND;
/** What is left of a lease when its socket closes, ms: the same boot may come back within it. */
export const CLOSED_SOCKET_MS = 5 * SECOND;
/** What is left of the leases of all workers when the object starts without their sockets, ms: they dial again within it. */
export const RESTART_GRACE_MS = 20 * SECOND;
/** No new tick for this long means a hung engine, ms; or ten median steps of the run, if that is longer. */
export const ENGINE_DEADLINE_MS = 60 * SECOND;
/** A training lease holds the steps expected in this long, ms: other work may take the slot between spans. */
export const SPAN_MS = 10 * SECOND;
/** Batches of an evaluation in one lease: other work may take the slot between spans. */
export const SPAN_BATCHES = 4;
/** A run waits this long for a worker of its own fingerprint before another opens a new lineage, ms. */
export const FINGERPRINT_WAIT_MS = 10 * 60 * SECOND;
/** Workers that died at a job, its failures, and its interruptions, since it last advanced: then it is poisoned. */
export const MAX_DEATHS = 2;
export const MAX_FAILURES = 5;
export const MAX_INTERRUPTIONS = 20;
/** Longest pause of a job after a failure or an interruption, ms. */
export const MAX_SETBACK_WAIT_MS = 60 * SECOND;
/** A run waits this long for the busy worker that holds it before it moves to another, ms: a span's length. */
export const AFFINITY_WAIT_MS = SPAN_MS;
/** Tokens that a waiting project earns in a round of the queue: small against a job, so that turns alternate. */
export const QUEUE_QUANTUM = 256;
/** `Retry-After` of a full queue, s: about a span. */
export const QUEUE_RETRY_S = 10;
/** A lease's payload, bytes: what else the frame says fits beside it. */
export const MAX_LEASE_BYTES = MAX_FRAME_BYTES - 64 * KIB;
/** Positions whose logits exist at once in training: 50 MB a copy at a vocabulary of 50,000 in fp32. */
export const HEAD_CHUNK = 256;
/** Resume states that are kept of a run: the last may turn out to be unreadable. */
export const RESUMES_KEPT = 2;
/** Models that a worker is thought to have in memory. */
export const LOADED_MODELS = 4;
/** A worker that has been gone this long is forgotten, ms: its boot will not come back. */
export const FORGET_WORKER_MS = 24 * 60 * 60 * SECOND;
/** Callers that wait on one pool; above it they are answered at once and ask again. */
export const MAX_WAITERS = 1000;
/** Those of one project. */
export const MAX_PROJECT_WAITERS = 250;
/** Queued jobs of one project; above it 429. */
export const MAX_QUEUED_JOBS = 1000;
/** Rows of the outbox drained at once: each is one D1 batch at the most. */
export const OUTBOX_BATCH = 50;
/** First and last wait of a failed outbox row, ms. */
export const OUTBOX_RETRY_MS = { first: 1 * SECOND, last: 60 * SECOND };
/** One outbox row may take this long, ms: D1 has been seen to stall for over a minute, and the alarm must not wait for it. */
export const SETTLE_MS = 20 * SECOND;
/** Pause after an alarm that failed, and between two deletions of garbage, ms. */
export const ALARM_RETRY_MS = 1 * SECOND;

/** Steps and evaluation items handed to a reader at once. */
export const EVENT_PAGE = 200;
/** Items of an evaluation's fixed batches. */
export const EVALUATION_BATCH = 32;

/** How long an answer is waited for by default, s: scores and preferences; elsewhere 0. */
export const DEFAULT_WAIT_S = 30;
/** How long a completion is waited for, s: its clients know no 202. */
export const COMPLETION_WAIT_S = 60;
/** Choices of one completion request: prompts times choices of each. */
export const MAX_CHOICES = 128;
/** New tokens of a chat completion that names no limit; the model's context ends it sooner. */
export const MAX_COMPLETION_TOKENS = 16_384;
/** `Prefer: wait` is cut to this, s. */
export const MAX_WAIT_S = 60;
/** `Retry-After` of a 202, s. */
export const RETRY_AFTER_S = 1;

/** A key's look-up is trusted this long, ms: a revocation takes effect within it. */
export const KEY_CACHE_MS = 10 * SECOND;
/** A model's look-up is trusted this long, ms: as a key's. */
export const MODEL_CACHE_MS = KEY_CACHE_MS;
/** Known log-probabilities that an isolate keeps in memory: for so long, ms, and so many tokens, 10 MB of its 128. */
export const KNOWN_CACHE_MS = 60 * SECOND;
export const KNOWN_CACHE_TOKENS = 100_000;
/** An Idempotency-Key is honoured this long, ms. */
export const IDEMPOTENCY_MS = 24 * 60 * 60 * SECOND;
/** A blob that no pointer names is removed after this long, ms. */
export const ORPHAN_BLOB_MS = 24 * 60 * 60 * SECOND;
/** An entry of a project's teacher cache, or kept log-probabilities, are removed this long after they were stored, days: longer than a series of runs of one
 * teacher over one data set, and short enough that an abandoned one is not paid for long. */
export const TEACHER_CACHE_DAYS = 30;
/** Files of an export that the scorer is given, bytes: with the runtime and what a score needs they fill an isolate. */
export const MAX_EDGE_BYTES = 62_500_000;
/** Parameters times tokens up to which `compute: auto` has an export compute where a worker is connected too. Measured: a
 * worker on 2 cores answers in 170 ms and more, and an export takes as long at 500 million. */
export const AUTO_EDGE_WORK = 400_000_000;
/** Tokens of an answer that the scorer generates: short answers, so that a call's CPU is bounded. */
export const MAX_EDGE_TOKENS = 32;
/** The pool's own worker at the edge goes when it has had nothing to do for this long, ms. */
export const EDGE_IDLE_MS = 2 * SECOND;
/** Requests of one key a minute; above it 429. */
export const REQUESTS_PER_MINUTE = 6000;

/** Bootstrap resamples and sign flips: the Monte Carlo error of a p-value of 0.05 is then 0.002. */
export const RESAMPLES = 10_000;
/** Share of items that two evaluations must have in common before they are compared. */
export const MIN_OVERLAP = 0.95;
/** Resamples never go below this, and items times resamples above it never past that: a test takes 0.1 s of CPU,
 * the intervals of an evaluation 0.5 s, since they share their draws. */
export const MIN_RESAMPLES = 1_000;
export const RESAMPLED_VALUES = 20_000_000;
/** Models on one board, the newest first: an evaluation is compared with each of them when it settles. */
export const BOARD_MODELS = 64;
/** Items times sign flips of the comparisons of one call: 1 to 2 s of CPU for 2,000 items, 5 s for 100,000. What is left over
 * is done in the next call, so that neither a request nor the pool is held up. */
export const COMPARED_VALUES = 2_000_000_000;
/** Text of one page of records, characters: it is in memory a few times over, as rows, as records and as JSON. */
export const RECORD_PAGE_CHARS = 4 * MIB;
/** Grades, or margins, read in one query: D1 answers in one piece, which this keeps to a few MB. */
export const GRADES_AT_ONCE = 10_000;
/** Records of an export that are read at once: many, since a Worker may ask D1 only so often; their text is bounded too. */
export const EXPORT_PAGE = 1000;
/** One item of an evaluation with its references and response, bytes: a D1 row holds 2 MB. */
export const MAX_RECORD_BYTES = 1 * MIB;
/** All prompts of an evaluation, bytes: its batches reach the Durable Object in one call, which carries 32 MiB. */
export const MAX_EVALUATION_BYTES = 16 * MIB;
/** Prompts of one batch, bytes: it travels in one frame, beside what else the frame says. */
export const MAX_BATCH_BYTES = 512 * KIB;
/** A token covers at most about this many bytes (long runs of spaces): a longer prompt is certainly too long. */
export const MAX_TOKEN_BYTES = 256;
/** Silence on an event stream before a comment is sent, ms: proxies drop connections that are quiet for a minute. */
export const HEARTBEAT_MS = 15 * SECOND;
/** A streamed job that nobody has asked after for this long is stopped, ms: a reader that is there asks each heartbeat. */
export const READER_MS = 2 * HEARTBEAT_MS;
/** How often a settled evaluation is looked for while a client waits, ms. */
export const SETTLE_POLL_MS = 250;

/** Memory of the scorer's isolate, bytes: the platform ends one that takes more, so what would not fit is refused. */
export const EDGE_MEMORY_BYTES = 128_000_000;
/** Tokens that the scorer reads at once: it bounds activations whatever a text's length, and reading more at once takes no
 * less time a token (measured: 12 ms at 64 and 256, 35 ms at 16, on a student of 64 M parameters in int4). */
export const EDGE_PIECE_TOKENS = 64;
/** On WebGPU: onnxruntime 1.30 computes attention of 32 tokens or more by a shader that is wrong where a GPU's subgroups
 * have 4 or 8 lanes (seen on both); of fewer tokens by another. */
export const WEBGPU_PIECE_TOKENS = 31;
/** Reading fewer tokens than this takes as long as this many: all weights are unpacked for one too (measured: 85 ms against 14). */
export const EDGE_LEAST_TOKENS = 8;
/** Tokens times parameters that one call of the scorer may read: about 10 s of CPU at 0.19 ns each (measured as above). */
export const EDGE_CALL_COMPUTE = 52_000_000_000;
