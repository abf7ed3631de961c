// A typed client on the wire's own schemas: what is sent and what comes back is what the service itself parses.
//
//   const client = new Understudy({ baseUrl: "http://127.0.0.1:8787", apiKey });
//   const scores = await client.scores({ teacher, student, prompt: "2 + 2 =", responses: ["4", "5"] });
import type { z } from "zod";
import { Dataset, DatasetList, RowList } from "../wire/datasets.ts";
import type { CreateKey, CreateProject } from "../wire/jobs.ts";
import { Deleted, Health, Job, JobList, Key, Project, Usage, WorkerInfo, WorkerList } from "../wire/jobs.ts";
import type { CreateModel } from "../wire/models.ts";
import { Model, ModelList } from "../wire/models.ts";
import type { CreatePreferences, CreateScores } from "../wire/scores.ts";
import { PreferenceList, ScoreList } from "../wire/scores.ts";
import { TeacherScores } from "../wire/teacher-scores.ts";
import type { CreateTeacherScores } from "../wire/teacher-scores.ts";
import { ApiError } from "./errors.ts";
import { Evaluations } from "./evaluations.ts";
import { Http } from "./http.ts";
import type { ClientOptions } from "./http.ts";
import { every } from "./lists.ts";
import type { PageOptions } from "./lists.ts";
import { PreferenceEvaluations } from "./preference-evaluations.ts";
import { Runs } from "./runs.ts";

export { ApiError } from "./errors.ts";

const POLL_MS = 500;

export class Understudy {
  readonly runs: Runs;
  readonly evaluations: Evaluations;
  readonly preferenceEvaluations: PreferenceEvaluations;
  readonly #http: Http;

  constructor(options: ClientOptions) {
    this.#http = new Http(options);
    this.runs = new Runs(this.#http);
    this.evaluations = new Evaluations(this.#http);
    this.preferenceEvaluations = new PreferenceEvaluations(this.#http);
  }

  health(): Promise<z.infer<typeof Health>> {
    return this.#http.json(Health, "/healthz");
  }

  /** Implicit rewards of responses to one prompt. Waits for a worker where one is needed. */
  scores(body: z.input<typeof CreateScores>): Promise<ScoreList> {
    return this.#http.work(ScoreList, "/v1/scores", { method: "POST", body });
  }

  /** Has a teacher's log-probabilities of a data set computed, and says how far that is: ask until `jobs` is empty. */
  teacherScores(body: z.input<typeof CreateTeacherScores>): Promise<TeacherScores> {
    return this.#http.json(TeacherScores, "/v1/teacher-scores", { method: "POST", body });
  }

  /** Preferences between given responses, or between teacher's and student's answers. */
  preferences(body: z.input<typeof CreatePreferences>): Promise<PreferenceList> {
    return this.#http.work(PreferenceList, "/v1/preferences", { method: "POST", body });
  }

  createModel(body: z.input<typeof CreateModel>): Promise<Model> {
    return this.#http.json(Model, "/v1/models", { method: "POST", body });
  }

  model(id: string): Promise<Model> {
    return this.#http.json(Model, `/v1/models/${id}`);
  }

  models(options?: PageOptions) {
    return every(this.#http, ModelList, "/v1/models", options);
  }

  /** The model once a worker has loaded and measured it. */
  async modelReady(id: string): Promise<Model> {
    for (;;) {
      const model = await this.model(id);
      if (model.status === "ready") return model;
      if (model.status === "failed") {
        throw new ApiError(422, model.error?.code ?? "failed", model.error?.message ?? `${id} failed`, null, null);
      }
      await new Promise((done) => setTimeout(done, POLL_MS));
    }
  }

  /** Uploads JSON Lines; every row names its split, or `split` does. */
  uploadDataset(name: string, jsonl: string, split?: string): Promise<Dataset> {
    const call = { body: jsonl, contentType: "application/x-ndjson", query: { name, split } };
    return this.#http.json(Dataset, "/v1/datasets", { method: "POST", ...call });
  }

  dataset(id: string): Promise<Dataset> {
    return this.#http.json(Dataset, `/v1/datasets/${id}`);
  }

  datasets(options?: PageOptions) {
    return every(this.#http, DatasetList, "/v1/datasets", options);
  }

  rows(id: string, options?: PageOptions) {
    return every(this.#http, RowList, `/v1/datasets/${id}/rows`, options);
  }

  job(id: string): Promise<Job> {
    return this.#http.json(Job, `/v1/jobs/${id}`);
  }

  jobs(options?: PageOptions) {
    return every(this.#http, JobList, "/v1/jobs", options);
  }

  waitJob(id: string, signal?: AbortSignal): Promise<Job> {
    return this.#http.waitJob(id, signal);
  }

  /** One that has ended stays as it is. */
  cancelJob(id: string): Promise<Job> {
    return this.#http.json(Job, `/v1/jobs/${id}/cancel`, { method: "POST" });
  }

  retryJob(id: string): Promise<Job> {
    return this.#http.json(Job, `/v1/jobs/${id}/retry`, { method: "POST" });
  }

  workers(options?: PageOptions) {
    return every(this.#http, WorkerList, "/v1/workers", options);
  }

  drainWorker(id: string): Promise<WorkerInfo> {
    return this.#http.json(WorkerInfo, `/v1/workers/${id}/drain`, { method: "POST" });
  }

  /** With the operator's secret: a worker key shared by all projects; with an admin key: a key of its project. */
  createKey(body: z.input<typeof CreateKey>): Promise<Key> {
    return this.#http.json(Key, "/v1/keys", { method: "POST", body });
  }

  /** Needs the operator's secret as the key. */
  createProject(body: z.input<typeof CreateProject>): Promise<Project> {
    return this.#http.json(Project, "/v1/projects", { method: "POST", body });
  }

  usage(): Promise<Usage> {
    return this.#http.json(Usage, "/v1/usage");
  }

  delete(
    resource: "models" | "datasets" | "runs" | "evaluations" | "preference-evaluations" | "keys",
    id: string,
  ): Promise<z.infer<typeof Deleted>> {
    return this.#http.json(Deleted, `/v1/${resource}/${id}`, { method: "DELETE" });
  }
}
