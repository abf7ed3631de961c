// Following an evaluation to its figures.
import type { Failure, Status } from "../wire/common.ts";
import { ApiError } from "./errors.ts";

const POLL_MS = 500;

interface Followed {
  id: string;
  status: Status;
  metrics: object | null;
  error: Failure | null;
}

/** What is read once it has completed with its figures; `seen` is told how far it is meanwhile. */
export async function followed<E extends Followed>(
  read: () => Promise<E>,
  seen: (evaluation: E) => void = () => undefined,
): Promise<E> {
  for (;;) {
    const evaluation = await read();
    seen(evaluation);
    const { id, status, metrics, error } = evaluation;
    if (status === "completed" && metrics !== null) return evaluation;
    if (status === "failed" || status === "cancelled") {
      const { code, message } = error ?? { code: status, message: `${id} was ${status}` };
      throw new ApiError(422, code, message, null, null);
    }
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
}
