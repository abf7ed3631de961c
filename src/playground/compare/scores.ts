// The teacher's log-probabilities of a response, asked of the service: known, computed at once, or by a job that is waited for.
import { Failure, post, read } from "../../dashboard/api.ts";
import { either } from "../../dashboard/guards.ts";
import { isJob, isScoreList } from "../answers.ts";
import type { ScoreList } from "../answers.ts";
import type { Asked } from "../answer/conversation.tsx";

/** A job that is not done is asked for again after this long, ms. */
const PAUSE_MS = 1000;

export interface Question extends Asked {
  teacher: string;
  student: string;
  response: string;
}

const pause = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, PAUSE_MS);
    const stop = (): void => {
      clearTimeout(timer);
      reject(new Failure("Stopped", "Nothing waits for the teacher any more."));
    };
    signal.addEventListener("abort", stop, { once: true });
  });

/** `wait` is told why a job waits, in words. */
export async function askTeacher(
  { teacher, student, prompt, template, response }: Question,
  wait: (why: string | null) => void,
  signal: AbortSignal,
): Promise<ScoreList> {
  const body = { teacher, student, prompt, template, responses: [response], return_tokens: true, compute: "auto" };
  let answer = await post("/v1/scores", body, either(isScoreList, isJob), signal);
  while (!isScoreList(answer)) {
    const { id, status, error, note, result } = answer;
    if (isScoreList(result)) return result;
    if (error !== null || status === "cancelled") {
      throw new Failure("The service could not compare", error?.message ?? "Its job was cancelled: ask again.");
    }
    wait(note);
    await pause(signal);
    answer = await read(`/v1/jobs/${id}`, isJob, signal);
  }
  return answer;
}
