// The boards of both kinds of evaluation in one list, each with what its leaderboard is asked for by.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Board } from "../../src/wire/boards.ts";
import { BoardList } from "../../src/wire/boards.ts";
import { Leaderboard } from "../../src/wire/evaluations.ts";
import { rows } from "../services/project.ts";
import { JudgedProject, N, margin } from "./judging.ts";

const generation = { max_new_tokens: 8, temperature: 0, top_p: 1, top_k: 0, stop: [], seeds: [10] };
let judged: JudgedProject;
const boards = async (query: string) => BoardList.parse((await judged.ask("GET", `/v1/boards?${query}`)).body);

async function graded(dataset: string): Promise<void> {
  const responses = rows(N).map(({ id, response }) => ({ id, response }));
  const answer = await judged.ask("POST", "/v1/evaluations", { name: "given", dataset, responses });
  expect(answer.status).toBe(200);
}

beforeAll(async () => {
  judged = await JudgedProject.create();
  const pairs = { student: "a", teacher: "teacher", dataset: "pairs" };
  await graded("pairs");
  await judged.evaluated(pairs, () => margin(1));
  await judged.evaluated({ ...pairs, teacher: "other-teacher", beta: 2 }, () => margin(1));
  await judged.evaluated({ ...pairs, length_normalize: true, limit: 5 }, () => margin(1));
  await judged.evaluated({ ...pairs, dataset: "prompts", generation, beta: 0.5 }, () => margin(-1));
  await graded("prompts");
});
afterAll(() => judged.close());

/** What names a board in a query of its leaderboard, out of what the list says of it. */
function queryOf(board: Board): string {
  const { kind, dataset, split, limit } = board;
  const query = new URLSearchParams({ dataset, split, template: board.template ?? "given" });
  if (limit !== null) query.set("limit", String(limit));
  if (kind === "metric") return `/v1/leaderboard?${query.toString()}`;
  query.set("kind", kind);
  query.set("length_normalize", String(board.length_normalize));
  if (kind === "closeness") {
    query.set("teacher", board.teacher);
    query.set("beta", String(board.beta));
    query.set("generation", JSON.stringify(board.generation));
  }
  return `/v1/preference-leaderboard?${query.toString()}`;
}

describe("the boards of metrics and of preferences", () => {
  it("are one list, those with the newest evaluation first", async () => {
    const { data, has_more } = await boards("limit=100");
    expect(has_more).toBe(false);
    expect(data.map(({ kind, dataset_name, models }) => [kind, dataset_name, models])).toEqual([
      ["metric", "prompts", 1],
      ["closeness", "prompts", 1],
      ["accuracy", "pairs", 1],
      ["accuracy", "pairs", 2],
      ["metric", "pairs", 1],
    ]);
    expect(data[1]).toMatchObject({ teacher: judged.teacher, teacher_name: "teacher", beta: 0.5, generation });
    expect(data[2]).toMatchObject({ length_normalize: true, limit: 5, template: "chat" });
  });

  it("say all that their leaderboards are asked for by", async () => {
    for (const board of (await boards("limit=100")).data) {
      if (board.kind !== "metric") {
        const ranked = await judged.board(queryOf(board).split("?")[1]!);
        expect(ranked.kind).toBe(board.kind);
        expect(ranked.data.map((entry) => entry.evaluation)).toContain(board.newest_evaluation);
        expect(ranked.data).toHaveLength(board.models);
        continue;
      }
      const ranked = Leaderboard.parse((await judged.ask("GET", queryOf(board))).body);
      expect(ranked.data.map((entry) => entry.evaluation)).toEqual([board.newest_evaluation]);
    }
  });

  it.each([1, 2, 3, 4, 5])("come in pages of %i that leave none out", async (limit) => {
    const whole = await boards("limit=100");
    const paged: Board[] = [];
    for (let after = ""; ;) {
      const page = await boards(`limit=${limit}${after}`);
      expect(page.data.length).toBeLessThanOrEqual(limit);
      paged.push(...page.data);
      if (!page.has_more) break;
      after = `&after=${page.last_id}`;
    }
    expect(paged).toEqual(whole.data);
  });

  it("know no place of another list", async () => {
    for (const after of ["pe_unknown", "ev_unknown", "x"]) {
      const answer = await judged.ask("GET", `/v1/boards?after=${after}`);
      expect(answer).toMatchObject({ status: 400, body: { error: { param: "after" } } });
    }
  });
});
