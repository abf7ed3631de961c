// Asks for a key.
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { keepKey } from "./key.ts";

/** The form of every key; what is sent as a header has to be ASCII. */
const KEY = /^us_[\x21-\x7e]{1,200}$/;

const Where = () => (
  <ul>
    <li>
      On your own machine <code>npm start</code> writes one to <code>.understudy/dev.env</code>, and the demo to{" "}
      <code>.understudy/demo.env</code>
    </li>
    <li>
      <code>POST /v1/keys</code> with <code>{'{"name": "dashboard", "role": "read"}'}</code> makes one that can only
      read
    </li>
  </ul>
);

interface Asking {
  title: string;
  /** What the key is for. */
  children: ComponentChildren;
  /** What the button does. */
  action: string;
  refusal: string | null;
}

export function KeyForm({ title, children, action, refusal }: Asking) {
  const input = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState(refusal);
  // Before anything can be typed: effects after the drawing would erase a later problem, and move the focus late.
  useLayoutEffect(() => setProblem(refusal), [refusal]);
  useLayoutEffect(() => {
    if (problem !== null) input.current?.focus();
  }, [problem]);
  const submit = (event: Event) => {
    event.preventDefault();
    const key = input.current?.value.trim() ?? "";
    if (KEY.test(key)) keepKey(key);
    else setProblem(key === "" ? "Enter a key first." : "This is not a key: one begins with us_ and has no spaces.");
  };
  return (
    <section class="key">
      <h1>{title}</h1>
      <p>{children}</p>
      <form onSubmit={submit} novalidate>
        <label for="key">API key</label>
        <div class="line">
          <input
            ref={input}
            id="key"
            name="key"
            type="password"
            autocomplete="off"
            spellcheck={false}
            aria-invalid={problem !== null}
            aria-describedby={problem === null ? "key-note" : "key-problem key-note"}
          />
          <button type="submit" class="primary">
            {action}
          </button>
        </div>
        {problem !== null && (
          <p id="key-problem" class="problem" role="alert">
            {problem}
          </p>
        )}
        <p id="key-note" class="quiet">
          The key stays in this tab and is forgotten when you close it. It is never part of an address.
        </p>
      </form>
      <h2>Where a key comes from</h2>
      <Where />
    </section>
  );
}
