// A project with pairs, prompts and five models, and a scripted worker that judges what is asked of it.
import { expect } from "vitest";
import { PreferenceEvaluation, PreferenceLeaderboard } from "../../src/wire/preference-evaluations.ts";
import { FakeWorker } from "../pool/fake-worker.ts";
import { TestProject, rows } from "../services/project.ts";
import { ask } from "./method.ts";
import { scorePairs } from "./training.ts";
import type { Found } from "./training.ts";

export const BASE = "/v1/preference-evaluations";
export const N = 40;

export const pairs = (n: number) => rows(n).map((row, i) => ({ ...row, rejected: `no answer ${i}` }));

export interface FoundPair {
  chosen: Found;
  rejected: Found;
}

/** The student finds chosen by so many nats likelier than the teacher does, and rejected as likely. */
export const margin = (nats: number): FoundPair => ({
  chosen: { teacher: -5, student: -5 + nats },
  rejected: { teacher: -7, student: -7 },
});

export class JudgedProject {
  readonly project: TestProject;
  /** The teacher's id. */
  readonly teacher: string;
  readonly #worker: FakeWorker;

  private constructor(project: TestProject, teacher: string, worker: FakeWorker) {
    this.project = project;
    this.teacher = teacher;
    this.#worker = worker;
  }

  static async create(): Promise<JudgedProject> {
    const project = await TestProject.create();
    await project.dataset("pairs", pairs(N), "prompt_chosen_rejected");
    await project.dataset("prompts", rows(N));
    const teacher = await project.model("teacher");
    for (const name of ["other-teacher", "a", "b", "c"]) await project.model(name);
    return new JudgedProject(project, teacher, await FakeWorker.connect(project.pool));
  }

  close(): void {
    this.#worker.close();
  }

  ask(method: string, path: string, body?: object, headers = {}) {
    return ask(this.project, method, path, body, headers);
  }

  post(body: object, headers = {}) {
    return this.ask("POST", BASE, body, headers);
  }

  async board(query: string): Promise<PreferenceLeaderboard> {
    return PreferenceLeaderboard.parse((await this.ask("GET", `/v1/preference-leaderboard?${query}`)).body);
  }

  /** Judged in one span by the number of each row, and settled. */
  async evaluated(body: object, judge: (row: number, seed: number) => FoundPair): Promise<PreferenceEvaluation> {
    const pending = this.post(body, { prefer: "wait=10" });
    await scorePairs(this.#worker, await this.#worker.lease(), (item, seed) =>
      judge(Number(item.slice("test-".length)), seed),
    );
    const done = await pending;
    expect(done.status).toBe(200);
    return PreferenceEvaluation.parse(done.body);
  }
}
