// What the student is asked, and how.
import { useState } from "preact/hooks";
import { Choice } from "../../dashboard/choice.tsx";
import type { Template } from "../../wire/common.ts";
import type { Asked } from "./conversation.tsx";

const TEMPLATES: readonly { value: Template; label: string }[] = [
  { value: "chat", label: "chat: the model's own" },
  { value: "alpaca", label: "alpaca: an instruction" },
  { value: "raw", label: "raw: exactly as written" },
];

/** One that this page does not know is taken for the usual one. */
export const templateOf = (name: string): Template => TEMPLATES.find(({ value }) => value === name)?.value ?? "chat";

const LENGTHS = [32, 64, 128, 256, 512];
const USUAL = 128;

interface Form {
  asked: Asked;
  change: (asked: Asked) => void;
  ask: (most: number) => void;
  stop: () => void;
  answering: boolean;
  /** By other work of the student's. */
  blocked: boolean;
}

export function PromptForm({ asked, change, ask, stop, answering, blocked }: Form) {
  const [most, setMost] = useState(USUAL);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (!answering && !blocked && asked.prompt !== "") ask(most);
  };
  return (
    <form onSubmit={submit}>
      <label class="field wide">
        <span>Prompt</span>
        <textarea
          rows={3}
          value={asked.prompt}
          spellcheck={false}
          readOnly={answering || blocked}
          onInput={(event) => change({ ...asked, prompt: event.currentTarget.value })}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
          }}
        />
      </label>
      <div class="controls">
        <Choice
          label="Template"
          value={asked.template}
          options={TEMPLATES}
          choose={(value) => change({ ...asked, template: templateOf(value) })}
        />
        <Choice
          label="At most"
          value={String(most)}
          options={LENGTHS.map((length) => ({ value: String(length), label: `${length} tokens` }))}
          choose={(value) => setMost(Number(value))}
        />
        {answering ? (
          <button type="button" class="act" onClick={stop}>
            Stop
          </button>
        ) : (
          <button type="submit" class="act primary" disabled={blocked || asked.prompt === ""}>
            Answer
          </button>
        )}
      </div>
    </form>
  );
}
