// Draws the page into the frame that the Worker sends.
import { App } from "./app.tsx";
import { drawInto } from "./frame.tsx";
import "./style/base.css";
import "./style/controls.css";
import "./style/board.css";
import "./style/records.css";

drawInto(<App />);
