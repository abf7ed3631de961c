// Boards of preferences and judged pairs as the API answers them: a stack without a worker has none of its own.
import type { Page } from "playwright-core";
import type { AccuracyBoard, ClosenessBoard } from "../../src/wire/boards.ts";
import type {
  JudgedResponse,
  PreferenceEvaluation,
  PreferenceLeaderboard,
  PreferenceLeaderboardEntry,
  PreferenceRecord,
} from "../../src/wire/preference-evaluations.ts";
import { boardOf, fulfil, listOf } from "./answers.ts";
import { HOSTILE, LONG } from "./seed.ts";

export const GENERATION = { max_new_tokens: 64, temperature: 0, top_p: 1, top_k: 0, stop: [], seeds: [10] };
const DATASET = "ds_pairs";
const shared = {
  object: "board" as const,
  dataset: DATASET,
  dataset_name: "pairs",
  split: "test",
  template: "chat" as const,
  limit: null,
  length_normalize: false,
  newest_at: "2026-02-01T00:00:00.000Z",
};

export const ACCURACY: AccuracyBoard = { ...shared, kind: "accuracy", models: 4, newest_evaluation: "pe_a1" };
export const CLOSENESS: ClosenessBoard = {
  ...shared,
  kind: "closeness",
  models: 4,
  teacher: "model_teacher",
  teacher_name: "teacher-tuned",
  beta: 0.1,
  generation: GENERATION,
  newest_at: "2026-01-01T00:00:00.000Z",
  newest_evaluation: "pe_c1",
};

const entry = (rank: number, changes: Partial<PreferenceLeaderboardEntry>): PreferenceLeaderboardEntry => ({
  rank,
  group: rank < 3 ? 1 : 2,
  student: `run_x@${rank}0`,
  student_name: null,
  teacher: "model_teacher",
  teacher_name: "teacher-tuned",
  beta: 0.1,
  evaluation: `pe_a${rank}`,
  mean: 90 - 12 * rank,
  low: 80 - 12 * rank,
  high: 97 - 12 * rank,
  n: 120,
  strength: null,
  p_vs_best: rank === 1 ? null : 0.4 / rank ** 4,
  p_vs_previous: rank === 1 ? null : 0.2 / rank,
  selected_on_this_split: rank === 2,
  ...changes,
});

const board = (of: Partial<PreferenceLeaderboard>): PreferenceLeaderboard => ({
  object: "preference_leaderboard",
  kind: "accuracy",
  dataset: DATASET,
  split: "test",
  template: "chat",
  limit: null,
  length_normalize: false,
  teacher: null,
  beta: null,
  generation: null,
  data: [],
  detectable_difference: 8.4,
  note: "accuracy: the share of the data set's pairs. Ranked by accuracy, across teachers and betas.",
  ...of,
});

const accuracyBoard = board({
  data: [
    entry(1, { student: "model_dpkd", student_name: "student-dpkd" }),
    entry(2, {}),
    entry(3, { student_name: "student-pruned-24-of-30-layers-untrained-and-with-a-long-name", beta: 0.5 }),
    entry(4, { student_name: "student-sft", teacher: "model_other", teacher_name: "another-teacher", beta: 2 }),
  ],
});

const strong = (value: number) => ({ value, low: value - 0.3, high: value + 0.3 });
const near = (rank: number, mean: number, changes: Partial<PreferenceLeaderboardEntry>) =>
  entry(rank, {
    mean,
    low: Math.max(0, mean - 6),
    high: Math.min(100, mean + 6),
    evaluation: `pe_c${rank}`,
    ...changes,
  });

const closenessBoard = board({
  kind: "closeness",
  teacher: "model_teacher",
  beta: 0.1,
  generation: GENERATION,
  note: "student_preferred: it measures closeness to that teacher, not quality. Ranked by closeness to 50.",
  data: [
    near(1, 50, { student_name: "teacher-tuned", strength: { value: 0, low: 0, high: 0 } }),
    near(2, 57, { student_name: "student-dpkd", strength: strong(0.28) }),
    near(3, 81, { student_name: "student-sft", strength: strong(1.45) }),
    near(4, 100, {
      student_name: "student-random",
      low: 100,
      high: 100,
      strength: { value: null, low: null, high: null },
    }),
  ],
});

export const evaluationOf = (kind: "accuracy" | "closeness"): PreferenceEvaluation => {
  const figure = { mean: 78, low: 68, high: 85, n: 30 };
  const digests = { weights_digest: "a".repeat(64), tokenizer_digest: "b".repeat(64), template_digest: "c".repeat(64) };
  const isAccuracy = kind === "accuracy";
  return {
    id: isAccuracy ? "pe_a1" : "pe_c2",
    object: "preference_evaluation",
    created_at: "2026-02-01T00:00:00.000Z",
    status: "completed",
    kind,
    student: "model_dpkd",
    student_name: "student-dpkd",
    teacher: "model_teacher",
    teacher_name: "teacher-tuned",
    dataset: DATASET,
    split: "test",
    template: "chat",
    beta: 0.1,
    length_normalize: false,
    generation: isAccuracy ? null : GENERATION,
    limit: null,
    n: 30,
    done: 30,
    metrics: { accuracy: isAccuracy ? figure : null, student_preferred: isAccuracy ? null : figure },
    provenance: { student: digests, teacher: digests, dataset_sha256: "d".repeat(64), split_sha256: "e".repeat(64) },
    job: null,
    error: null,
    note: isAccuracy ? "accuracy: it is not the quality of what the student writes." : closenessBoard.note,
  };
};

const side = (response: string, reward: number, finish_reason: JudgedResponse["finish_reason"]): JudgedResponse => ({
  response,
  finish_reason,
  num_tokens: 9,
  teacher_logprob: -12.25,
  student_logprob: -12.25 + 10 * reward,
  implicit_reward: reward,
});

const WRITTEN = ["It is the third of them, counted from the left.", HOSTILE, LONG, ""];

/** Of every ten the eighth and ninth are wrong, the tenth ties. */
export function pairOf(i: number, kind: "accuracy" | "closeness"): PreferenceRecord {
  const reward = i % 10 === 9 ? 0 : i % 10 > 6 ? -0.25 : 0.5;
  const ended = kind === "accuracy" ? null : "stop";
  return {
    id: `pair-${i}:0`,
    object: "preference_record",
    item: `pair-${i}`,
    seed: kind === "accuracy" ? null : 10,
    prompt: i % 4 === 3 ? [{ role: "user", content: `Which of them is number ${i}?` }] : `Which is number ${i}?`,
    chosen: side(WRITTEN[i % 4]!, reward, ended),
    rejected: side("It may be any of them, or none: nobody has ever looked.", 0, ended),
    margin: reward,
    probability: 1 / (1 + Math.exp(-reward)),
    correct: kind === "accuracy" ? (Math.sign(reward) + 1) / 2 : null,
  };
}

const OUTCOMES: Record<string, number> = { right: 1, wrong: -1, tie: 0 };

/** Answers of a project that has one board of each kind. */
export async function withPreferences(page: Page, dataset: string): Promise<void> {
  const boards = [ACCURACY, CLOSENESS, boardOf(dataset, { newest_at: "2025-12-01T00:00:00.000Z" })];
  await fulfil(page, /\/v1\/boards\?/, listOf(boards));
  await page.route(/\/v1\/preference-leaderboard\?/, (route) => {
    const isAccuracy = new URL(route.request().url()).searchParams.get("kind") === "accuracy";
    return route.fulfill({ json: isAccuracy ? accuracyBoard : closenessBoard });
  });
  for (const kind of ["accuracy", "closeness"] as const) {
    const evaluation = evaluationOf(kind);
    const path = `/v1/preference-evaluations/${evaluation.id}`;
    await fulfil(page, new RegExp(`${path}$`), evaluation);
    await page.route(new RegExp(`${path}/records\\?`), (route) => {
      const query = new URL(route.request().url()).searchParams;
      const outcome = query.get("outcome");
      const all = Array.from({ length: 30 }, (_, i) => pairOf(i, kind)).filter(
        (pair) =>
          (outcome === null || Math.sign(pair.margin) === OUTCOMES[outcome]) &&
          JSON.stringify(pair.prompt).includes(query.get("q") ?? ""),
      );
      const start = 1 + all.findIndex(({ id }) => id === query.get("after"));
      const end = start + Number(query.get("limit"));
      return route.fulfill({ json: listOf(all.slice(start, end), end < all.length) });
    });
  }
}
