// The frame that the Worker sends of a page, and what is drawn into it.
import { render } from "preact";
import type { VNode } from "preact";
import { forgetKey, useSession } from "./key.ts";

/** In the page's header, while there is a key. */
function SessionButton() {
  const { key } = useSession();
  if (key === null) return null;
  return (
    <button type="button" onClick={() => forgetKey()}>
      Forget key
    </button>
  );
}

export function drawInto(app: VNode): void {
  const main = document.getElementById("main");
  const session = document.getElementById("session");
  if (main === null || session === null) throw new Error("the page has no frame to draw into");

  // Its link would otherwise take the place of the address that says what is shown.
  document.querySelector(".skip")?.addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });

  main.replaceChildren();
  render(app, main);
  render(<SessionButton />, session);
}
