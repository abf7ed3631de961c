// The comparison with the teacher, which is asked for in so many words: it sends prompt and response to the service.
import { useEffect, useRef, useState } from "preact/hooks";
import { failureOf } from "../../dashboard/api.ts";
import type { Failure } from "../../dashboard/api.ts";
import { Failed } from "../../dashboard/states.tsx";
import type { Asked } from "../answer/conversation.tsx";
import type { Runner } from "../runner/client.ts";
import { compare } from "./comparison.ts";
import type { Comparison } from "./comparison.ts";
import { RewardView } from "./rewards.tsx";
import { TeacherChoice } from "./teacher.tsx";

type State =
  | { name: "none" }
  | { name: "asking"; why: string | null }
  | { name: "compared"; comparison: Comparison }
  | { name: "failed"; failure: Failure };

interface Panel {
  runner: Runner;
  models: { student: string; teacher: string | null; teachers: readonly string[] };
  asked: Asked;
  response: string;
  write: (response: string) => void;
  /** By an answer under way. */
  blocked: boolean;
  busy: (busy: boolean) => void;
}

const Sent = () => (
  <p class="note">
    Pressing the button sends the prompt and this response to this service, which asks the teacher; the student's side
    is computed here. It needs a key that may write.
  </p>
);

export function ComparePanel({ runner, models, asked, response, write, blocked, busy }: Panel) {
  const [state, setState] = useState<State>({ name: "none" });
  const [teacher, setTeacher] = useState(models.teacher ?? "");
  const stop = useRef<AbortController | null>(null);
  useEffect(() => () => stop.current?.abort(), []);
  const asking = state.name === "asking";
  const end = (next: State): void => {
    setState(next);
    busy(false);
  };
  const ask = (): void => {
    const { signal } = (stop.current = new AbortController());
    setState({ name: "asking", why: null });
    busy(true);
    const question = { ...asked, teacher, student: models.student, response };
    compare(runner, question, (why) => setState({ name: "asking", why }), signal).then(
      (comparison) => signal.aborted || end({ name: "compared", comparison }),
      (error: unknown) => signal.aborted || end({ name: "failed", failure: failureOf(error) }),
    );
  };
  const cancel = (): void => {
    stop.current?.abort();
    end({ name: "none" });
  };
  const ready = !blocked && asked.prompt !== "" && teacher !== "";
  return (
    <section aria-labelledby="compare-heading" class="panel">
      <h2 id="compare-heading">Compare with the teacher</h2>
      <label class="field wide">
        <span>Response (the student's, or one of your own)</span>
        <textarea
          rows={3}
          value={response}
          spellcheck={false}
          readOnly={asking || blocked}
          onInput={(event) => write(event.currentTarget.value)}
        />
      </label>
      <div class="controls">
        <TeacherChoice teacher={teacher} teachers={models.teachers} choose={setTeacher} />
        {asking ? (
          <button type="button" class="act" onClick={cancel}>
            Stop waiting
          </button>
        ) : (
          <button type="button" class="act primary" disabled={!ready} onClick={ask}>
            Compare with the teacher
          </button>
        )}
      </div>
      <Sent />
      {asking && <p role="status">Waiting for the teacher … {state.why}</p>}
      {state.name === "failed" && <Failed failure={state.failure} again={ask} />}
      {state.name === "compared" && <RewardView comparison={state.comparison} />}
    </section>
  );
}
