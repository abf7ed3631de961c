// A search box that waits for a pause in the typing.
import { useEffect, useState } from "preact/hooks";

/** Longer than between two keys of a person who types, ms; short enough to feel immediate. */
const PAUSE_MS = 300;

/** What the API takes, characters. */
const MOST = 200;

export function Search({ label, value, search }: { label: string; value: string; search: (text: string) => void }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => search(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <label class="field">
      <span>{label}</span>
      <input
        type="search"
        value={text}
        maxLength={MOST}
        spellcheck={false}
        onInput={(event) => setText(event.currentTarget.value)}
      />
    </label>
  );
}
