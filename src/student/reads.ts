// In which reads a prompt's responses are scored, and what reading costs.
import { EDGE_LEAST_TOKENS, EDGE_PIECE_TOKENS } from "../config.ts";
import type { Sequence } from "./sequences.ts";

/** A prompt's sequences, one for each response. */
export interface Group {
  prompt: number[];
  sequences: Sequence[];
}

/** What reading `tokens` costs, in tokens. */
function readCost(tokens: number): number {
  const rest = tokens % EDGE_PIECE_TOKENS;
  return tokens - rest + (rest === 0 ? 0 : Math.max(rest, EDGE_LEAST_TOKENS));
}

/** `reads`: how many tokens are read behind one another, each time anew. */
export const costOf = (reads: readonly number[]): number => reads.reduce((sum, tokens) => sum + readCost(tokens), 0);

export const lengthOf = ({ prompt, response }: Sequence): number => prompt.length + response.length;

/** If every response goes on from the prompt, or if each is read with it. */
const sharedReads = ({ prompt, sequences }: Group): number[] => [
  prompt.length,
  ...sequences.map(({ response }) => Math.max(0, response.length - 1)),
];
const wholeReads = ({ sequences }: Group): number[] =>
  sequences.map((sequence) => (sequence.response.length === 0 ? 0 : lengthOf(sequence) - 1));

export const isShared = (group: Group): boolean => costOf(sharedReads(group)) < costOf(wholeReads(group));

/** Tokens that are read behind one another, the cheaper way. */
export const readsOf = (group: Group): number[] => (isShared(group) ? sharedReads(group) : wholeReads(group));
