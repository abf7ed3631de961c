// What stands where there is nothing to show yet, or nothing came.
import type { Failure } from "./api.ts";

export const Loading = ({ what }: { what: string }) => (
  <p class="loading" role="status">
    Loading {what} …
  </p>
);

export const Failed = ({ failure, again }: { failure: Failure; again: () => void }) => (
  <div class="notice failed" role="alert">
    <p>
      <strong>{failure.title}.</strong> {failure.message}
    </p>
    {failure.retryAfter !== null && <p>The service takes requests again in {failure.retryAfter} s.</p>}
    <button type="button" onClick={again}>
      Try again
    </button>
  </div>
);

/** A figure that is not there: a dash for the eye, the reason for everybody. */
export const Unknown = ({ why }: { why: string }) => (
  <span title={why}>
    <span aria-hidden="true">—</span>
    <span class="hidden">{why}</span>
  </span>
);
