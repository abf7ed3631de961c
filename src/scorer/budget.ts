// What a call would take of memory and of CPU, by arithmetic: the local runtime enforces neither, and the platform ends an
// isolate that takes too much, with all who wait for it.
import { EDGE_CALL_COMPUTE, EDGE_MEMORY_BYTES, EDGE_PIECE_TOKENS } from "../config.ts";
import { costOf, lengthOf, readsOf } from "../student/reads.ts";
import type { Group } from "../student/reads.ts";
import { Refusal } from "../student/refusal.ts";
import { roomFor } from "../student/student.ts";
import type { EdgeArtifact, EdgeModel } from "../wire/exports.ts";

const FLOAT = 4;
/** The runtime's heap with the largest graph that is admitted but no weights: measured 14.3 MB. */
const RUNTIME_BYTES = 15_000_000;
/** JavaScript: onnxruntime-web, the tokenizer's and the template's code, a call's texts. */
const SCRIPT_BYTES = 8_000_000;
/** Of a tokenizer's file once it is read, with what it remembers: measured 2.3 times, and 2 MB. */
const TOKENIZER_FACTOR = 3;
/** Hidden states that exist at once, of a token: measured 48 kB at a hidden size of 576. */
const STATES = 21;
/** Rows of the output matrix that are unpacked at once, and multiplied; in fp32 they are read where they are. */
const UNPACKED_ROWS = 2048;
const PLAIN_ROWS = 16_384;
/** Times that each of their logits exists at once. */
const LOGITS = 3;
/** What is freed is seldom of the size that is wanted next: measured 16 MB for 9.5 MB of activations. */
const FRAGMENTED = 2;
/** Keys and values exist in the runtime and in JavaScript, as what goes in and as what comes out. */
const COPIES = 4;

export interface Memory {
  /** Of the runtime's heap, which never shrinks. */
  heap: number;
  total: number;
}

/** Bytes of a model that reads texts of `length` tokens. */
export function memoryOf({ model, files }: EdgeArtifact, length: number): Memory {
  const bytes = (wanted: (name: string) => boolean): number =>
    files.filter(({ name }) => wanted(name)).reduce((sum, file) => sum + file.bytes, 0);
  const weights = bytes((name) => name.startsWith("weights-"));
  const cached = 2 * model.layers * model.key_value_heads * model.head_dim * FLOAT * length;
  const heap = RUNTIME_BYTES + weights + activations(model, length) + (COPIES / 2) * cached;
  const tokenizer = TOKENIZER_FACTOR * bytes((name) => name === "tokenizer.json");
  return { heap, total: heap + SCRIPT_BYTES + tokenizer + (COPIES / 2) * cached };
}

function activations(model: EdgeModel, length: number): number {
  const piece = Math.min(length, EDGE_PIECE_TOKENS);
  const heads = model.hidden_size / model.head_dim;
  const plain = model.precision === "fp32";
  const rows = Math.min(plain ? PLAIN_ROWS : UNPACKED_ROWS, model.vocab_size);
  const token = LOGITS * rows + STATES * model.hidden_size + heads * length;
  return FRAGMENTED * FLOAT * (piece * token + (plain ? 0 : rows * model.hidden_size));
}

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1_000_000)} MB`;

export function checkMemory(artifact: EdgeArtifact, length: number): void {
  const { total } = memoryOf(artifact, length);
  if (total <= EDGE_MEMORY_BYTES) return;
  throw new Refusal(
    "too_large",
    `this ${artifact.model.precision} export and a text of ${length} tokens take ${megabytes(total)} at the edge, where ` +
      `${megabytes(EDGE_MEMORY_BYTES)} may be had; take a smaller precision or a shorter text, or ask with compute "pool"`,
  );
}

export function checkCompute({ parameters }: EdgeModel, reads: readonly number[]): void {
  const cost = costOf(reads);
  const most = Math.floor(EDGE_CALL_COMPUTE / parameters);
  if (cost <= most) return;
  throw new Refusal(
    "too_large",
    `this call costs as much as reading ${cost} tokens; a student of ${parameters} parameters may read ${most} a call at ` +
      'the edge; ask for less at a time, or with compute "pool"',
  );
}

/** Refuses what is too much to score. */
export function checkScores(artifact: EdgeArtifact, groups: readonly Group[]): void {
  const lengths = groups.flatMap(({ sequences }) => sequences.map(lengthOf));
  check(artifact, lengths, groups.flatMap(readsOf));
}

/** Refuses prompts that are too much to answer; an answer may turn out shorter than what is allowed for. */
export function checkAnswers(artifact: EdgeArtifact, prompts: readonly number[][], maxNewTokens: number): void {
  const rooms = prompts.map(({ length }) => ({ length, room: roomFor(artifact.model, length, maxNewTokens) }));
  const lengths = rooms.map(({ length, room }) => length + room);
  const oneByOne = (tokens: number) => Array.from({ length: tokens }, () => 1);
  check(
    artifact,
    lengths,
    rooms.flatMap(({ length, room }) => [length, ...oneByOne(room - 1)]),
  );
}

function check(artifact: EdgeArtifact, lengths: readonly number[], reads: readonly number[]): void {
  checkMemory(artifact, Math.max(...lengths, EDGE_PIECE_TOKENS));
  checkCompute(artifact.model, reads);
}
