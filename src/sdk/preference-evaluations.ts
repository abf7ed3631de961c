// Preference evaluations, their records, and the leaderboards over them.
import type { z } from "zod";
import type {
  CreatePreferenceEvaluation as CreateSchema,
  PreferenceKind,
  PreferenceRecordFilter,
} from "../wire/preference-evaluations.ts";
import {
  PreferenceEvaluation,
  PreferenceEvaluationList,
  PreferenceLeaderboard,
  PreferenceRecordList,
} from "../wire/preference-evaluations.ts";
import type { Generation } from "../wire/generation.ts";
import type { Http } from "./http.ts";
import { every } from "./lists.ts";
import type { PageOptions } from "./lists.ts";
import { followed } from "./wait.ts";

export type CreatePreferenceEvaluation = z.input<typeof CreateSchema>;

export interface PreferenceBoard {
  kind: PreferenceKind;
  dataset: string;
  split?: string;
  template?: string;
  limit?: number;
  length_normalize?: boolean;
  /** These three name a board of closeness. */
  teacher?: string;
  beta?: number;
  generation?: z.input<typeof Generation>;
}

export class PreferenceEvaluations {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Starts one and returns at once; `wait` follows it. */
  create(body: CreatePreferenceEvaluation): Promise<PreferenceEvaluation> {
    return this.#http.json(PreferenceEvaluation, "/v1/preference-evaluations", { method: "POST", body, wait: 0 });
  }

  get(id: string): Promise<PreferenceEvaluation> {
    return this.#http.json(PreferenceEvaluation, `/v1/preference-evaluations/${id}`);
  }

  /** The evaluation once it has completed and is judged; `seen` is told how far it is meanwhile. */
  wait(id: string, seen?: (evaluation: PreferenceEvaluation) => void): Promise<PreferenceEvaluation> {
    return followed(() => this.get(id), seen);
  }

  list(options?: PageOptions) {
    return every(this.#http, PreferenceEvaluationList, "/v1/preference-evaluations", options);
  }

  records(id: string, options?: PageOptions & PreferenceRecordFilter) {
    const path = `/v1/preference-evaluations/${id}/records`;
    return every(this.#http, PreferenceRecordList, path, options, { ...options });
  }

  /** All records as a file: the answer, whose body is read as it arrives. */
  exportRecords(id: string, format: "jsonl" | "csv", filter: PreferenceRecordFilter = {}): Promise<Response> {
    return this.#http.send(`/v1/preference-evaluations/${id}/records.${format}`, { query: { ...filter } });
  }

  cancel(id: string): Promise<PreferenceEvaluation> {
    return this.#http.json(PreferenceEvaluation, `/v1/preference-evaluations/${id}/cancel`, { method: "POST" });
  }

  leaderboard({ generation, length_normalize = false, ...board }: PreferenceBoard): Promise<PreferenceLeaderboard> {
    const how = generation === undefined ? {} : { generation: JSON.stringify(generation) };
    const query = { ...board, ...how, length_normalize: String(length_normalize) };
    return this.#http.json(PreferenceLeaderboard, "/v1/preference-leaderboard", { query });
  }
}
