// The other evaluations of the same board, and what the board's data set is called.
import { isBoards } from "../answers/boards.ts";
import { isLeaderboard } from "../answers/evaluations.ts";
import type { Evaluation } from "../answers/evaluations.ts";
import { address } from "../api.ts";
import { BOARDS, termsOf } from "../board/place.ts";
import { modelName } from "../format.ts";
import { useAnswer } from "../use-answer.ts";
import type { Filter } from "./place.ts";

export interface Rival {
  evaluation: string;
  name: string;
}

/** The one that a place names may be on no board any more, after a newer evaluation of its model: then by its id. */
export function withNamed(rivals: readonly Rival[], evaluation: string | null): readonly Rival[] {
  if (evaluation === null || rivals.some((rival) => rival.evaluation === evaluation)) return rivals;
  return [...rivals, { evaluation, name: evaluation }];
}

/** None while they load, and none where they cannot be read: the records are readable without them. */
export function useRivals(evaluation: Evaluation, { metric }: Filter): Rival[] {
  const { dataset } = evaluation;
  const board = useAnswer(address("/v1/leaderboard", { dataset, ...termsOf(evaluation), metric }), isLeaderboard);
  return (board.value?.data ?? [])
    .filter((entry) => entry.evaluation !== evaluation.id)
    .map((entry) => ({ evaluation: entry.evaluation, name: modelName(entry) }));
}

export function useDatasetName({ dataset }: { dataset: string }): string {
  const boards = useAnswer(BOARDS, isBoards);
  return boards.value?.data.find((board) => board.dataset === dataset)?.dataset_name ?? dataset;
}
