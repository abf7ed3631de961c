// The boards of a project, as a list.
import { GRADER_VERSIONS } from "../evaluation/graders.ts";
import { listBoards } from "../store/boards.ts";
import type { BoardRow } from "../store/boards.ts";
import type { Board } from "../wire/boards.ts";
import type { Context } from "./context.ts";
import { envelope } from "./list.ts";
import type { Page } from "./list.ts";

function present({ body, id, createdAt, datasetName, models }: BoardRow): Board {
  const shared = {
    object: "board" as const,
    dataset: body.dataset,
    dataset_name: datasetName,
    split: body.split,
    limit: body.limit,
    models,
    newest_at: new Date(createdAt).toISOString(),
    newest_evaluation: id,
  };
  if (body.object === "evaluation") {
    return { ...shared, kind: "metric", template: body.template, pattern: body.pattern };
  }
  const { template, length_normalize, teacher, teacher_name, beta, generation } = body;
  // Without generation it is of accuracy, whose board has entries of every teacher and beta.
  if (generation === null) return { ...shared, kind: "accuracy", template, length_normalize };
  return { ...shared, kind: "closeness", template, length_normalize, teacher, teacher_name, beta, generation };
}

export async function boardPage(
  ctx: Context,
  { after, limit }: { after?: string | undefined; limit: number },
): Promise<Page<Board>> {
  const rows = await listBoards(ctx.db, ctx.project.id, GRADER_VERSIONS, { after, limit: limit + 1 });
  return envelope(rows.slice(0, limit).map(present), rows.length > limit, (board) => board.newest_evaluation);
}
