// How far an evaluation of either kind is, and how it ended where it did not complete.
import type { Evaluation } from "../answers/evaluations.ts";
import { count } from "../format.ts";

type Underway = Pick<Evaluation, "status" | "done" | "n" | "generation" | "error">;

export const isUnderWay = ({ status }: Pick<Underway, "status">): boolean =>
  status === "queued" || status === "running";

/** What a list of its records is asked for again by. */
export const versionOf = (of: Underway): number => (isUnderWay(of) ? of.done : -1);

/** Records that it will have: one of each item and seed. */
const total = ({ n, generation }: Underway): number => n * (generation?.seeds.length ?? 1);

interface ProgressProps {
  of: Underway;
  /** What each record is. */
  what: string;
}

export const Progress = ({ of, what }: ProgressProps) => {
  const { status, done, error } = of;
  if (isUnderWay(of)) {
    return (
      <div class="notice">
        <label>
          {status === "queued" ? "Waiting for a worker" : "Under way"}: {done.toLocaleString("en")} of{" "}
          {count(total(of), what)}
          <progress max={total(of)} value={done} />
        </label>
      </div>
    );
  }
  if (status === "completed") return null;
  return (
    <p class="notice failed">
      <strong>This evaluation {status === "failed" ? "failed" : "was cancelled"}.</strong>{" "}
      {error !== null && `${error.message} (${error.code})`}
    </p>
  );
};
