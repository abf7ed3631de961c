// Draws the playground into the frame that the Worker sends.
import { drawInto } from "../dashboard/frame.tsx";
import { App } from "./app.tsx";
import "../dashboard/style/base.css";
import "../dashboard/style/controls.css";
import "../dashboard/style/records.css";
import "./style/page.css";
import "./style/tokens.css";

drawInto(<App />);
