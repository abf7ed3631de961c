// Runs: create, take steps, follow events, read steps and checkpoints.
import type { z } from "zod";
import { Export } from "../wire/exports.ts";
import type { Precision } from "../wire/exports.ts";
import type { CreateRun as CreateRunSchema, TakeSteps } from "../wire/runs.ts";
import { Checkpoint, CheckpointList, Run, RunEvent, RunList, StepList } from "../wire/runs.ts";
import { parseEvents } from "./events.ts";
import type { Http, Started } from "./http.ts";
import { every } from "./lists.ts";
import type { PageOptions } from "./lists.ts";

export type CreateRun = z.input<typeof CreateRunSchema>;

/** Between two connections to one event stream, ms. */
const RECONNECT_MS = 500;
const ENDED: readonly Run["status"][] = ["completed", "failed", "cancelled"];

export class Runs {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  create(body: CreateRun, idempotencyKey?: string): Promise<Run> {
    return this.#http.json(Run, "/v1/runs", { method: "POST", body, ...(idempotencyKey ? { idempotencyKey } : {}) });
  }

  get(id: string): Promise<Run> {
    return this.#http.json(Run, `/v1/runs/${id}`);
  }

  list(options?: PageOptions) {
    return every(this.#http, RunList, "/v1/runs", options);
  }

  cancel(id: string): Promise<Run> {
    return this.#http.json(Run, `/v1/runs/${id}/cancel`, { method: "POST" });
  }

  /** Asks for optimizer steps and returns at once; `finished` gives the run after them. */
  takeSteps(id: string, body: TakeSteps): Promise<Started<Run>> {
    return this.#http.start(Run, `/v1/runs/${id}/steps`, { method: "POST", body, wait: 0 });
  }

  steps(id: string, options?: PageOptions) {
    return every(this.#http, StepList, `/v1/runs/${id}/steps`, options);
  }

  /** The run's events after number `after`, as they happen, until the run ends. Survives lost connections. */
  async *events(id: string, after = 0): AsyncGenerator<RunEvent> {
    let last = after;
    for (;;) {
      try {
        for await (const event of this.#connection(id, last)) {
          yield event;
          last = event.sequence;
        }
        if (ENDED.includes((await this.get(id)).status)) return;
      } catch (error) {
        // `fetch` and its streams throw TypeError where the connection broke; anything else is an answer.
        if (!(error instanceof TypeError)) throw error;
      }
      await new Promise((done) => setTimeout(done, RECONNECT_MS));
    }
  }

  async *#connection(id: string, after: number): AsyncGenerator<RunEvent> {
    const headers = { accept: "text/event-stream", ...(after > 0 ? { "last-event-id": String(after) } : {}) };
    const response = await this.#http.send(`/v1/runs/${id}/events`, { headers });
    const body: ReadableStream<Uint8Array<ArrayBuffer>> | null = response.body;
    if (body === null) return;
    for await (const event of parseEvents(body)) yield RunEvent.parse(JSON.parse(event.data));
  }

  checkpoints(id: string, options?: PageOptions) {
    return every(this.#http, CheckpointList, `/v1/runs/${id}/checkpoints`, options);
  }

  /** `step`: a number, `step.lineage`, or `best`. */
  checkpoint(id: string, step: number | string): Promise<Checkpoint> {
    return this.#http.json(Checkpoint, `/v1/runs/${id}/checkpoints/${step}`);
  }

  /** Keeps the weights of the run's head as a checkpoint. */
  createCheckpoint(id: string): Promise<Checkpoint> {
    return this.#http.work(Checkpoint, `/v1/runs/${id}/checkpoints`, { method: "POST" });
  }

  /** Makes what runs at the edge and in a browser of a checkpoint, or returns what was made before. */
  export(id: string, step: number | string, precision: Precision): Promise<Export> {
    const path = `/v1/runs/${id}/checkpoints/${step}/exports`;
    return this.#http.work(Export, path, { method: "POST", body: { precision } });
  }

  /** One file of a checkpoint or an export, as a stream of bytes. */
  async download(of: Pick<Checkpoint | Export, "id" | "files">, name: string): Promise<Response> {
    const file = of.files.find((candidate) => candidate.name === name);
    if (file === undefined) throw new RangeError(`${of.id} has ${of.files.map((f) => f.name).join(", ")}, no ${name}`);
    return this.#http.send(file.href);
  }
}
