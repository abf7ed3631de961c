// A prompt, the student's answer as it comes, and a response that can be compared with the teacher's view of it.
import { useState } from "preact/hooks";
import type { Template } from "../../wire/common.ts";
import { ComparePanel } from "../compare/panel.tsx";
import type { Run } from "../answers.ts";
import type { Runner } from "../runner/client.ts";
import { AnswerView } from "./answer.tsx";
import { PromptForm, templateOf } from "./prompt-form.tsx";
import { useStudentAnswer } from "./use-student-answer.ts";

export interface Asked {
  prompt: string;
  template: Template;
}

interface Conversation {
  runner: Runner;
  run: Run;
  /** The checkpoint's name. */
  student: string;
  /** Models that may be chosen as one. */
  teachers: readonly string[];
}

export function Conversation({ runner, run, student, teachers }: Conversation) {
  const [asked, setAsked] = useState<Asked>({ prompt: "", template: templateOf(run.template) });
  const [response, setResponse] = useState("");
  const [comparing, setComparing] = useState(false);
  const answer = useStudentAnswer(runner, setResponse);
  const ask = (most: number): void => void answer.ask({ ...asked, most });
  return (
    <>
      <section aria-labelledby="answer-heading" class="panel">
        <h2 id="answer-heading">Ask the student</h2>
        <PromptForm
          asked={asked}
          change={setAsked}
          ask={ask}
          stop={() => runner.stop()}
          answering={answer.state.name === "answering"}
          blocked={comparing}
        />
        <AnswerView state={answer.state} />
      </section>
      <ComparePanel
        runner={runner}
        models={{ student, teacher: run.teacher, teachers }}
        asked={asked}
        response={response}
        write={setResponse}
        blocked={answer.state.name === "answering"}
        busy={setComparing}
      />
    </>
  );
}
