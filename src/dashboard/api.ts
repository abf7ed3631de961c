// One request of the page: the key goes along as a header, the answer is checked, and a refusal becomes a Failure.
import { isProblem } from "./answers/common.ts";
import type { Is } from "./guards.ts";
import { currentKey, forgetKey } from "./key.ts";

export type Query = Record<string, string | number | null>;

/** What went wrong, for a person: a title, and in the message what to do about it. */
export class Failure extends Error {
  readonly title: string;
  /** Seconds after which the server is willing again; null where it did not say. */
  readonly retryAfter: number | null;

  constructor(title: string, message: string, retryAfter: number | null = null) {
    super(message);
    this.title = title;
    this.retryAfter = retryAfter;
  }
}

/** For a rejection of `read` or `save`; anything else is a fault of the page. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error;
  throw error;
}

/** Fields that are null or empty are left out. */
export function address(path: string, query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== "");
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return search === "" ? path : `${path}?${search}`;
}

function unreachable(): never {
  throw new Failure("The service cannot be reached", "Check the connection, and try again.");
}

/** Null where the body is not JSON. */
const jsonOf = (response: Response): Promise<unknown> =>
  response.json().catch((error: unknown) => (error instanceof SyntaxError ? null : unreachable()));

function titleOf(status: number): string {
  if (status === 401) return "This key is not accepted";
  if (status === 403) return "This key may not read";
  if (status === 404) return "Not found";
  if (status === 429) return "Too many requests";
  return status < 500 ? "This cannot be shown" : "The service could not answer";
}

async function toFailure(response: Response): Promise<Failure> {
  const body = await jsonOf(response);
  const message = isProblem(body) ? body.error.message : `The service answered HTTP ${response.status}.`;
  const seconds = Number(response.headers.get("retry-after"));
  return new Failure(titleOf(response.status), message, seconds > 0 ? seconds : null);
}

async function send(url: string, signal: AbortSignal | null, body: object | null = null): Promise<Response> {
  const headers = { authorization: `Bearer ${currentKey()}` };
  const asked = body === null ? { headers, signal } : posting(headers, signal, body);
  const response = await fetch(url, asked).catch(unreachable);
  if (response.ok) return response;
  const failure = await toFailure(response);
  // Nothing on the page can be read with this key: back to the form, which says why. One that may read may not do all.
  const useless = response.status === 401 || (response.status === 403 && body === null);
  if (useless) forgetKey(`${failure.title}. ${failure.message}`);
  throw failure;
}

const posting = (headers: Record<string, string>, signal: AbortSignal | null, body: object): RequestInit => ({
  method: "POST",
  headers: { ...headers, "content-type": "application/json" },
  body: JSON.stringify(body),
  signal,
});

const checked = async <T>(response: Response, is: Is<T>): Promise<T> => {
  const body = await jsonOf(response);
  if (is(body)) return body;
  throw new Failure("The answer cannot be read", "The service is newer or older than this page: reload the page.");
};

/** Rejects with a Failure and nothing else; of no meaning once `signal` is aborted. */
export const read = async <T>(url: string, is: Is<T>, signal: AbortSignal): Promise<T> =>
  checked(await send(url, signal), is);

/** As `read`, of what is asked with a body. */
export const post = async <T>(url: string, body: object, is: Is<T>, signal: AbortSignal): Promise<T> =>
  checked(await send(url, signal, body), is);

/** The bytes of a file as they come. */
export async function* download(url: string, signal: AbortSignal): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  const { body } = await send(url, signal);
  const reader = body?.getReader();
  for (;;) {
    const part = await reader?.read().catch(unreachable);
    if (part?.value === undefined) return;
    yield part.value;
  }
}

/** Saves an answer as a file: a plain link could not carry the key. */
export async function save(url: string, name: string): Promise<void> {
  const response = await send(url, null);
  const file = URL.createObjectURL(await response.blob().catch(unreachable));
  const link = document.createElement("a");
  link.href = file;
  link.download = name;
  link.click();
  URL.revokeObjectURL(file);
}
