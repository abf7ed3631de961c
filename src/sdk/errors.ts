// What a refused request becomes.
import { ErrorBody } from "../wire/common.ts";

/** An answer that is not 2xx. `code` is stable and for programs; the message is for people and says what to do. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly param: string | null;
  /** Name it when you report a problem. */
  readonly requestId: string | null;

  constructor(status: number, code: string, message: string, param: string | null, requestId: string | null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.param = param;
    this.requestId = requestId;
  }
}

/** Reads an error answer; a proxy on the way may have answered with something else than our body. */
export async function toError(response: Response): Promise<ApiError> {
  const requestId = response.headers.get("x-request-id");
  const text = await response.text();
  const parsed = ErrorBody.safeParse(parseJson(text));
  if (!parsed.success) {
    return new ApiError(response.status, "unknown", `HTTP ${response.status}: ${text.slice(0, 200)}`, null, requestId);
  }
  const { code, message, param } = parsed.data.error;
  return new ApiError(response.status, code, message, param, requestId);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
