// The Durable Object `Pool`: the authority for jobs, leases, runs, steps, checkpoints and the evaluations that workers do.
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../env.ts";
import type { Settle } from "../store/outbox.ts";
import type { WorkerInfo } from "../wire/jobs.ts";
import type { BestCheckpoint } from "../wire/runs.ts";
import type { PoolApi, SubmitEvaluation, SubmitJob, SubmitRun, TakeStepsRequest } from "./api.ts";
import { countScored } from "./record.ts";
import * as evaluations from "./requests/evaluations.ts";
import * as jobs from "./requests/jobs.ts";
import * as runs from "./requests/runs.ts";
import { takeSteps } from "./requests/steps.ts";
import * as workers from "./requests/workers.ts";
import { Shell } from "./shell.ts";
import { terminal } from "./states.ts";
import { accept, closeSocket } from "./sockets.ts";

/** The class for `src/index.ts` to export as `Pool`; `settle` applies its outbox to D1.
 * @example export const Pool = definePool(settle); */
export function definePool(settle: Settle<Env>) {
  return class Pool extends DurableObject<Env> implements PoolApi {
    readonly #shell: Shell;

    constructor(ctx: DurableObjectState, env: Env) {
      super(ctx, env);
      this.#shell = new Shell(ctx, env, settle);
    }

    submitJob(job: SubmitJob) {
      return this.#shell.ask((turn) => jobs.submitJob(turn, job));
    }

    getJob(project: string, id: string) {
      return this.#shell.ask((turn) => jobs.getJob(turn, project, id));
    }

    waitJob(project: string, id: string, ms: number) {
      const read = () => this.#shell.turn((turn) => jobs.getJob(turn, project, id));
      const done = (job: ReturnType<typeof read>) => job === null || terminal(job.status);
      return this.#shell.wait({ project, topic: id, ms, read, done });
    }

    deltas(project: string, id: string, after: number, ms: number) {
      const read = () => this.#shell.turn((turn) => jobs.deltas(turn, project, id, after));
      const done = (page: ReturnType<typeof read>) =>
        page === null || page.pieces.length > 0 || terminal(page.job.status);
      return this.#shell.wait({ project, topic: id, ms, read, done });
    }

    cancelJob(project: string, id: string) {
      return this.#shell.ask((turn) => jobs.cancelJob(turn, project, id));
    }

    retryJob(project: string, id: string, retryId: string) {
      return this.#shell.ask((turn) => jobs.retryJob(turn, project, id, retryId));
    }

    submitRun(run: SubmitRun) {
      return this.#shell.ask((turn) => runs.submitRun(turn, run));
    }

    getRun(project: string, id: string) {
      return this.#shell.ask((turn) => runs.getRun(turn, project, id));
    }

    cancelRun(project: string, id: string) {
      return this.#shell.ask((turn) => runs.cancelRun(turn, project, id));
    }

    deleteRun(project: string, id: string) {
      return this.#shell.ask((turn) => runs.deleteRun(turn, project, id));
    }

    takeSteps(request: TakeStepsRequest) {
      return this.#shell.ask((turn) => takeSteps(turn, request));
    }

    events(project: string, run: string, after: number, ms: number) {
      const read = () => this.#shell.turn((turn) => runs.eventPage(turn, project, run, after));
      const done = (page: ReturnType<typeof read>) => page === null || page.ended || page.events.length > 0;
      return this.#shell.wait({ project, topic: run, ms, read, done });
    }

    getCheckpoint(project: string, run: string, step: string) {
      return this.#shell.ask((turn) => runs.getCheckpoint(turn, project, run, step));
    }

    recordBest(project: string, run: string, candidate: BestCheckpoint) {
      return this.#shell.ask((turn) => runs.recordBest(turn, project, run, candidate));
    }

    submitEvaluation(evaluation: SubmitEvaluation) {
      return this.#shell.ask((turn) => evaluations.submitEvaluation(turn, evaluation));
    }

    getEvaluation(project: string, id: string) {
      return this.#shell.ask((turn) => evaluations.getEvaluation(turn, project, id));
    }

    cancelEvaluation(project: string, id: string) {
      return this.#shell.ask((turn) => evaluations.cancelEvaluation(turn, project, id));
    }

    deleteEvaluation(project: string, id: string) {
      return this.#shell.ask((turn) => evaluations.deleteEvaluation(turn, project, id));
    }

    compareEvaluation(project: string, id: string) {
      return this.#shell.ask((turn) => evaluations.compareEvaluation(turn, project, id));
    }

    countScored(project: string, tokens: number) {
      return this.#shell.ask((turn) => countScored(turn, project, tokens));
    }

    async workers(project: string) {
      const found: WorkerInfo[] = [];
      for (let after: string | null = ""; after !== null;) {
        const page = await this.#shell.ask((turn) => workers.listWorkers(turn, project, after ?? ""));
        found.push(...page.workers);
        after = page.next;
      }
      return found;
    }

    drainWorker(project: string, worker: string) {
      return this.#shell.ask((turn) => workers.drainWorker(turn, project, worker));
    }

    authorizeBlob(key: string, owner: string, fence: number) {
      return this.#shell.ask((turn) => workers.authorizeBlob(turn, key, owner, fence));
    }

    namedBlobs(keys: string[]) {
      return this.#shell.ask((turn) => workers.namedBlobs(turn, keys));
    }

    revokeKey(key: string) {
      return this.#shell.ask((turn) => workers.revokeKey(turn, key));
    }

    ping() {
      return Promise.resolve<"ok">("ok");
    }

    override fetch(request: Request) {
      return accept(this.ctx, request);
    }

    override webSocketMessage(ws: WebSocket, message: string | ArrayBuffer) {
      return this.#shell.receive(ws, message);
    }

    override webSocketClose(ws: WebSocket) {
      // The worker's close is answered: it waits for that.
      closeSocket(ws, 1000, "closed");
      this.#shell.ended(ws);
    }

    override webSocketError(ws: WebSocket) {
      this.#shell.ended(ws);
    }

    override alarm() {
      return this.#shell.alarm();
    }
  };
}
