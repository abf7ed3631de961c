// Boards: what the completed evaluations of a project stand on.
import { and, countDistinct, desc, eq, max, sql } from "drizzle-orm";
import type { Database } from "./database.ts";
import { findEvaluation } from "./evaluations.ts";
import type { EvaluationRow } from "./evaluations.ts";
import { unknownCursor } from "./page.ts";
import { datasets, evaluations } from "./schema.ts";

export interface BoardRow {
  /** Its newest evaluation, which says what the board is. */
  newest: Pick<EvaluationRow, "id" | "createdAt" | "body">;
  datasetName: string;
  models: number;
}

/** The boards of these graders, newest first; `after` is the newest evaluation of the last board already seen. */
export async function listBoards(
  db: Database,
  project: string,
  graders: string,
  { after, limit }: { after?: string | undefined; limit: number },
): Promise<BoardRow[]> {
  const cursor = after === undefined ? null : await findEvaluation(db, project, after);
  if (after !== undefined && cursor === null) throw unknownCursor(after);
  const createdAt = max(evaluations.createdAt);
  // In SQLite the other columns of a grouped query with max() are those of the row that has the maximum.
  const rows = await db
    .select({
      id: evaluations.id,
      body: evaluations.body,
      createdAt,
      datasetName: datasets.name,
      models: countDistinct(evaluations.model),
    })
    .from(evaluations)
    .innerJoin(datasets, eq(datasets.id, evaluations.dataset))
    .where(
      and(
        eq(evaluations.project, project),
        eq(evaluations.status, "completed"),
        sql`${evaluations.board} ->> ${sql.raw("'$[5]'")} = ${graders}`,
      ),
    )
    .groupBy(evaluations.board)
    .having(cursor === null ? sql`true` : sql`(${createdAt}, ${evaluations.id}) < (${cursor.createdAt}, ${cursor.id})`)
    .orderBy(desc(createdAt), desc(evaluations.id))
    .limit(limit);
  return rows.map(({ id, body, createdAt: at, datasetName, models }) => {
    return { newest: { id, body, createdAt: at ?? 0 }, datasetName, models };
  });
}
