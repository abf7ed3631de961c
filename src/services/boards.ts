// The boards of a project, as a list.
import { GRADER_VERSIONS } from "../evaluation/graders.ts";
import { listBoards } from "../store/boards.ts";
import type { BoardRow } from "../store/boards.ts";
import type { Board } from "../wire/evaluations.ts";
import type { Context } from "./context.ts";
import { envelope } from "./list.ts";
import type { Page } from "./list.ts";

function present({ newest, datasetName, models }: BoardRow): Board {
  const { dataset, split, template, limit, pattern } = newest.body;
  return {
    object: "board",
    dataset,
    dataset_name: datasetName,
    split,
    template,
    limit,
    pattern,
    models,
    newest_at: new Date(newest.createdAt).toISOString(),
    newest_evaluation: newest.id,
  };
}

export async function boardPage(
  ctx: Context,
  { after, limit }: { after?: string | undefined; limit: number },
): Promise<Page<Board>> {
  const rows = await listBoards(ctx.db, ctx.project.id, GRADER_VERSIONS, { after, limit: limit + 1 });
  return envelope(rows.slice(0, limit).map(present), rows.length > limit, (board) => board.newest_evaluation);
}
