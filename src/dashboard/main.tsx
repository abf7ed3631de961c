// Draws the page into the frame that the Worker sends.
import { render } from "preact";
import { App, SessionButton } from "./app.tsx";
import "./style/base.css";
import "./style/controls.css";
import "./style/board.css";
import "./style/records.css";

const main = document.getElementById("main");
const session = document.getElementById("session");
if (main === null || session === null) throw new Error("the page has no frame to draw into");

// Its link would otherwise take the place of the address that says what is shown.
document.querySelector(".skip")?.addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

main.replaceChildren();
render(<App />, main);
render(<SessionButton />, session);
