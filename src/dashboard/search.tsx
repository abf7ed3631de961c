// A search box that waits for a pause in the typing.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** Longer than between two keys of a person who types, ms; short enough to feel immediate. */
const PAUSE_MS = 300;

/** What the API takes, characters. */
const MOST = 200;

export function Search({ label, value, search }: { label: string; value: string; search: (text: string) => void }) {
  const [text, setText] = useState(value);
  // What else is chosen during the pause stays chosen: the search is that of the last drawing, not of the last key.
  const latest = useRef(search);
  latest.current = search;
  // Before anything can be typed: an effect after the drawing would erase what was.
  useLayoutEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => latest.current(text), PAUSE_MS);
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
