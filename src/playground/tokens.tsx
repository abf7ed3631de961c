// Tokens in a row, each with a figure below it; more is said of the one that is pointed at, or reached by the arrow keys.
import { useRef, useState } from "preact/hooks";
import { visible } from "./visible.ts";

export interface ShownToken {
  id: number;
  text: string;
  figure: string;
  /** All that is known of it, in words. */
  described: string;
  /** From -4 to 4, a step of the scale; null where nothing is coloured. */
  shade: number | null;
}

const KEYS: Record<string, (at: number, last: number) => number> = {
  ArrowLeft: (at) => at - 1,
  ArrowRight: (at) => at + 1,
  Home: () => 0,
  End: (_, last) => last,
};

const shadeClass = (shade: number | null): string => (shade === null ? "token" : `token shade shade${shade}`);

export function Tokens({ label, tokens }: { label: string; tokens: readonly ShownToken[] }) {
  const list = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(0);
  const last = tokens.length - 1;
  const current = Math.min(at, last);
  const pointed = tokens[current];
  if (pointed === undefined) return <p class="tokens quiet">…</p>;
  const move = (event: KeyboardEvent): void => {
    const to = KEYS[event.key]?.(current, last);
    if (to === undefined) return;
    event.preventDefault();
    const next = list.current?.children[Math.max(0, Math.min(last, to))];
    if (next instanceof HTMLElement) next.focus();
  };
  return (
    <>
      <div ref={list} class="tokens" role="listbox" aria-label={label} onKeyDown={move}>
        {tokens.map(({ text, figure, described, shade }, i) => (
          <span
            key={i}
            class={shadeClass(shade)}
            role="option"
            aria-selected={i === current}
            tabIndex={i === current ? 0 : -1}
            onFocus={() => setAt(i)}
            onPointerEnter={() => setAt(i)}
          >
            <span class="text">{visible(text)}</span>
            <span class="figure">{figure}</span>
            <span class="hidden">{described}</span>
          </span>
        ))}
      </div>
      <p class="pointed">
        <code>{visible(pointed.text)}</code> <span class="quiet">token {pointed.id}</span> {pointed.described}
      </p>
    </>
  );
}
