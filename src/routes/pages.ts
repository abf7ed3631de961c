// What a person opens in a browser: the frame of the dashboard, and the reference of every endpoint.
import { Hono } from "hono";
import { html } from "hono/html";
import { secureHeaders, NONCE } from "hono/secure-headers";
import type { HtmlEscapedString } from "hono/utils/html";
import type { App } from "../services/context.ts";
import { openApiDocument } from "./openapi.ts";

/** The reference draws itself with scripts and inline styles of one bundle, served from our own assets. */
const referenceHeaders = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    scriptSrc: [NONCE],
    styleSrc: ["'unsafe-inline'"],
    imgSrc: ["'self'", "data:"],
    fontSrc: ["'self'", "data:"],
    connectSrc: ["'self'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
  },
});

/** A page that loads its files from our own assets and asks our own API: nothing inline, nothing from elsewhere. */
const ownFilesOnly = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  imgSrc: ["'self'"],
  connectSrc: ["'self'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
};

const dashboardHeaders = secureHeaders({ contentSecurityPolicy: ownFilesOnly });

/** The playground also compiles the runtime, runs it in workers, and is isolated, so that it may use threads. */
const playgroundHeaders = secureHeaders({
  contentSecurityPolicy: {
    ...ownFilesOnly,
    scriptSrc: ["'self'", "'wasm-unsafe-eval'"],
    workerSrc: ["'self'"],
  },
  crossOriginEmbedderPolicy: "require-corp",
  crossOriginOpenerPolicy: "same-origin",
});

/** Paths whose answers are pages. */
export const PAGES = new Set(["/", "/docs", "/playground"]);

type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

const page = (title: string, head: Html | "", body: Html): Html =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        ${head}
      </head>
      <body>
        ${body}
      </body>
    </html>`;

const reference = (nonce: string): Html =>
  html`<div id="reference"></div>
    <script nonce="${nonce}" src="/assets/scalar.js"></script>
    <script nonce="${nonce}">
      Scalar.createApiReference("#reference", {
        url: "/openapi.json",
        withDefaultFonts: false,
        hideClientButton: true,
        showDeveloperTools: "never",
        authentication: { preferredSecurityScheme: "bearer" },
        telemetry: false,
        agent: { disabled: true },
        mcp: { disabled: true },
      });
    </script>`;

/** A page's style sheet and script among our assets. */
const files = (name: string): Html =>
  html`<link rel="icon" href="/assets/icon.svg" type="image/svg+xml" />
    <link rel="stylesheet" href="/assets/${name}.css" />
    <script type="module" src="/assets/${name}.js"></script>`;

/** The script draws into `main` and `session`; without one, `main` says what this is. */
const frame = (scriptless: Html): Html =>
  html`<a class="skip" href="#main">Skip to the content</a>
    <header class="top">
      <a class="brand" href="/">understudy</a>
      <nav aria-label="Service">
        <a href="/playground">Playground</a>
        <a href="/docs">Reference</a>
        <a href="/openapi.json">OpenAPI</a>
        <a href="/healthz">Health</a>
      </nav>
      <div id="session"></div>
    </header>
    <main id="main" tabindex="-1">
      <noscript>${scriptless}</noscript>
    </main>`;

const dashboard = frame(
  html`<h1>understudy</h1>
    <p>
      Trains a small language model to stand in for a large one, and proves how well it does: implicit rewards and
      preferences over HTTP, distillation steps on command, and a leaderboard with intervals and paired tests.
    </p>
    <p>
      The leaderboard on this page needs JavaScript. Without it, everything can be read from the API: see the reference
      above.
    </p>`,
);

const playground = frame(
  html`<h1>Playground</h1>
    <p>
      Runs a distilled student in your own browser, which needs JavaScript. Without it, the service computes: see
      completions and scores in the reference above.
    </p>`,
);

export const pages = new Hono<App>();

let document: ReturnType<typeof openApiDocument> | undefined;
pages.get("/openapi.json", (c) => c.json((document ??= openApiDocument())));

pages.get("/docs", referenceHeaders, (c) =>
  c.html(page("understudy: reference", "", reference(c.get("secureHeadersNonce") ?? ""))),
);

pages.get("/", dashboardHeaders, (c) => c.html(page("understudy", files("dashboard"), dashboard)));

pages.get("/playground", playgroundHeaders, (c) =>
  c.html(page("understudy: playground", files("playground/page"), playground)),
);
