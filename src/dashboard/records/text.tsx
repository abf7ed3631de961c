// What a person or a model wrote: always text nodes, cut where it is long.
import { useState } from "preact/hooks";
import { parted } from "./changes.ts";

/** Characters shown of a long text: about a screen of a phone. */
const SHOWN = 1200;

export function Written({ text }: { text: string }) {
  const [whole, setWhole] = useState(false);
  if (text === "") return <p class="written quiet">(empty)</p>;
  const cut = !whole && text.length > SHOWN;
  return (
    <>
      <p class="written">{cut ? `${text.slice(0, SHOWN)} …` : text}</p>
      {cut && (
        <button type="button" onClick={() => setWhole(true)}>
          Show all {text.length.toLocaleString("en")} characters
        </button>
      )}
    </>
  );
}

/** A response with the words marked in which it differs from the other one. */
export function Parting({ text, other }: { text: string; other: string }) {
  const { start, own, end } = parted(text, other);
  if (text.length > SHOWN || own === "") return <Written text={text} />;
  return (
    <p class="written">
      {start}
      <mark>{own}</mark>
      {end}
    </p>
  );
}
