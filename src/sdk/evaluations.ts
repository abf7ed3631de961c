// Evaluations, their records, and the leaderboard over them.
import type { z } from "zod";
import type {
  CreateEvaluation as CreateEvaluationSchema,
  MetricName,
  RecordFilter as RecordFilterSchema,
} from "../wire/evaluations.ts";
import { BoardList } from "../wire/boards.ts";
import { Evaluation, EvaluationList, Leaderboard, RecordList } from "../wire/evaluations.ts";
import type { Http } from "./http.ts";
import { every } from "./lists.ts";
import type { PageOptions } from "./lists.ts";
import { followed } from "./wait.ts";

export type CreateEvaluation = z.input<typeof CreateEvaluationSchema>;

/** Which records are wanted; without any of it, all. */
export type RecordFilter = z.input<typeof RecordFilterSchema>;

export interface Board {
  dataset: string;
  split?: string;
  template?: string;
  limit?: number;
  pattern?: string;
  metric?: MetricName;
}

export class Evaluations {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Starts an evaluation and returns at once; `wait` follows it. */
  create(body: CreateEvaluation): Promise<Evaluation> {
    return this.#http.json(Evaluation, "/v1/evaluations", { method: "POST", body, wait: 0 });
  }

  get(id: string): Promise<Evaluation> {
    return this.#http.json(Evaluation, `/v1/evaluations/${id}`);
  }

  /** The evaluation once it has completed and is graded; `seen` is told how far it is meanwhile. */
  wait(id: string, seen?: (evaluation: Evaluation) => void): Promise<Evaluation> {
    return followed(() => this.get(id), seen);
  }

  list(options?: PageOptions) {
    return every(this.#http, EvaluationList, "/v1/evaluations", options);
  }

  records(id: string, options?: PageOptions & RecordFilter) {
    return every(this.#http, RecordList, `/v1/evaluations/${id}/records`, options, { ...options });
  }

  /** All records as a file: the answer, whose body is read as it arrives. */
  exportRecords(id: string, format: "jsonl" | "csv", filter: RecordFilter = {}): Promise<Response> {
    return this.#http.send(`/v1/evaluations/${id}/records.${format}`, { query: { ...filter } });
  }

  leaderboard(board: Board): Promise<Leaderboard> {
    return this.#http.json(Leaderboard, "/v1/leaderboard", { query: { ...board } });
  }

  /** What boards there are, of metrics and of preferences, those with the newest evaluation first. */
  boards(options?: PageOptions) {
    return every(this.#http, BoardList, "/v1/boards", options);
  }
}
