// One request: key, JSON, retries. Every POST carries an Idempotency-Key, so that trying again never creates twice.
import type { z } from "zod";
import { Job } from "../wire/jobs.ts";
import { ApiError, toError } from "./errors.ts";

export interface ClientOptions {
  /** Such as http://127.0.0.1:8787. */
  baseUrl: string;
  apiKey: string;
  fetch?: (request: Request) => Promise<Response>;
  /** Tries after the first, for answers and failures that may pass. */
  maxRetries?: number;
}

export interface Call {
  method?: "GET" | "POST" | "DELETE";
  /** Sent as JSON, unless it is text with a content type of its own. */
  body?: unknown;
  contentType?: string;
  query?: Record<string, string | number | null | undefined>;
  headers?: Record<string, string>;
  /** Seconds that the server is asked to wait for the answer. */
  wait?: number;
  idempotencyKey?: string;
  signal?: AbortSignal;
}

export interface Started<T> {
  /** Null where the work was finished at once. */
  job: Job | null;
  /** The result; rejects with ApiError when the job fails or is cancelled. */
  finished: () => Promise<T>;
}

/** Seconds that one poll of a job waits at the server. */
const POLL_WAIT_S = 30;
/** First wait between tries, doubled each time up to the last, ms. */
const BACKOFF_MS = { first: 500, last: 8000 };

const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** Whether another try may succeed: the server says so, or its status does. */
function mayRetry(response: Response): boolean {
  const said = response.headers.get("x-should-retry");
  if (said !== null) return said === "true";
  return response.status === 408 || response.status === 429 || response.status >= 500;
}

function backoff(response: Response | null, attempt: number): number {
  const ms = Number(response?.headers.get("retry-after-ms") ?? Number.NaN);
  if (ms >= 0) return ms;
  const seconds = Number(response?.headers.get("retry-after") ?? Number.NaN);
  if (seconds >= 0) return seconds * 1000;
  return Math.min(BACKOFF_MS.last, BACKOFF_MS.first * 2 ** attempt) * (1 - Math.random() / 4);
}

export class Http {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  #request(path: string, call: Call): Request {
    const { method = "GET", body, contentType, query = {}, wait, idempotencyKey, signal } = call;
    const url = new URL(path, this.#options.baseUrl);
    for (const [name, value] of Object.entries(query)) {
      if (value !== null && value !== undefined) url.searchParams.set(name, String(value));
    }
    const headers = new Headers({ authorization: `Bearer ${this.#options.apiKey}`, ...call.headers });
    if (wait !== undefined) headers.set("prefer", `wait=${wait}`);
    if (method === "POST") headers.set("idempotency-key", idempotencyKey ?? crypto.randomUUID());
    if (body === undefined) return new Request(url, { method, headers, signal: signal ?? null });
    headers.set("content-type", contentType ?? "application/json");
    const text = typeof body === "string" && contentType !== undefined ? body : JSON.stringify(body);
    return new Request(url, { method, headers, body: text, signal: signal ?? null });
  }

  /** The answer, whatever its form; throws ApiError when it is not 2xx. */
  async send(path: string, call: Call = {}): Promise<Response> {
    const { fetch: send = fetch, maxRetries = 4 } = this.#options;
    // Made once, so that every try has the same Idempotency-Key.
    const request = this.#request(path, call);
    for (let attempt = 0; ; attempt += 1) {
      const response = await send(request.clone()).catch((error: unknown) => {
        if (attempt >= maxRetries || call.signal?.aborted === true) throw error;
        return null;
      });
      if (response?.ok === true) return response;
      if (response !== null && (attempt >= maxRetries || !mayRetry(response))) throw await toError(response);
      await response?.body?.cancel();
      await sleep(backoff(response, attempt));
    }
  }

  /** The answer's JSON, parsed. */
  async json<T>(schema: z.ZodType<T>, path: string, call: Call = {}): Promise<T> {
    const response = await this.send(path, call);
    return schema.parse(await response.json());
  }

  /** Work that the server may not finish at once: a 202 names its job, any other answer is the result. */
  async start<T>(schema: z.ZodType<T>, path: string, call: Call = {}): Promise<Started<T>> {
    const response = await this.send(path, call);
    const body: unknown = await response.json();
    if (response.status !== 202) {
      const result = schema.parse(body);
      return { job: null, finished: () => Promise.resolve(result) };
    }
    const job = Job.parse(body);
    return { job, finished: async () => schema.parse((await this.waitJob(job.id, call.signal)).result) };
  }

  /** The result of work, however long it takes. */
  async work<T>(schema: z.ZodType<T>, path: string, call: Call = {}): Promise<T> {
    const started = await this.start(schema, path, { wait: POLL_WAIT_S, ...call });
    return started.finished();
  }

  /** The job once it has completed; throws ApiError when it failed or was cancelled. */
  async waitJob(id: string, signal?: AbortSignal): Promise<Job> {
    for (;;) {
      const call = { wait: POLL_WAIT_S, ...(signal === undefined ? {} : { signal }) };
      const job = await this.json(Job, `/v1/jobs/${id}`, call);
      if (job.status === "completed") return job;
      if (job.status === "failed" || job.status === "cancelled") {
        const { code, message } = job.error ?? { code: job.status, message: `job ${id} was ${job.status}` };
        throw new ApiError(422, code, message, null, null);
      }
      await sleep(BACKOFF_MS.first);
    }
  }
}
