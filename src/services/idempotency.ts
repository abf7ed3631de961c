// The same Idempotency-Key with the same body returns what it made; with another body it is refused.
import { IDEMPOTENCY_MS } from "../config.ts";
import { ApiError } from "../errors.ts";
import { isUniqueViolation } from "../store/conflict.ts";

/** Checks that the row that has the request's id was made by this very request, within the key's lifetime. */
export function assertSameRequest(
  row: { requestDigest: string; createdAt: number },
  digest: string,
  now: number,
): void {
  if (row.requestDigest !== digest) {
    throw new ApiError("idempotency_mismatch", "This Idempotency-Key was used with another body; use a new one.", {
      param: "Idempotency-Key",
    });
  }
  if (row.createdAt + IDEMPOTENCY_MS < now) {
    throw new ApiError("idempotency_expired", "This Idempotency-Key is more than 24 h old; use a new one.", {
      param: "Idempotency-Key",
    });
  }
}

/** Runs a write whose only unique column besides the id is a name. */
export async function refusingTakenName<T>(what: string, name: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new ApiError("name_taken", `name: there is a ${what} called ${name} already; choose another name.`, {
      param: "name",
      cause: error,
    });
  }
}
