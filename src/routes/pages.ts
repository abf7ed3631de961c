// What a person opens in a browser: the front page, and the reference of every endpoint.
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

const pageHeaders = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    styleSrc: [NONCE],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
  },
});

/** Paths whose answers are pages. */
export const PAGES = new Set(["/", "/docs"]);

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

const style = (nonce: string): Html =>
  html`<style nonce="${nonce}">
    :root {
      color-scheme: light dark;
      font:
        1.05rem/1.6 system-ui,
        sans-serif;
    }
    body {
      max-width: 42rem;
      margin: 12vh auto;
      padding: 0 1.25rem;
    }
    h1 {
      font-size: 2rem;
      letter-spacing: -0.02em;
    }
    code {
      font-size: 0.95em;
    }
  </style>`;

const front = html`<main>
  <h1>understudy</h1>
  <p>
    Trains a small language model to stand in for a large one, and proves how well it does: implicit rewards and
    preferences over HTTP, distillation steps on command, and a leaderboard of exact-match results.
  </p>
  <ul>
    <li><a href="/docs">Reference of every endpoint</a></li>
    <li><a href="/openapi.json">OpenAPI document</a></li>
    <li><a href="/healthz">Health</a></li>
  </ul>
  <p>In a clone of the project:</p>
  <ul>
    <li><code>npm run demo</code> teaches a small model from a real one, and prints the leaderboard</li>
    <li><code>npm test</code> runs every test</li>
  </ul>
</main>`;

export const pages = new Hono<App>();

let document: ReturnType<typeof openApiDocument> | undefined;
pages.get("/openapi.json", (c) => c.json((document ??= openApiDocument())));

pages.get("/docs", referenceHeaders, (c) =>
  c.html(page("understudy: reference", "", reference(c.get("secureHeadersNonce") ?? ""))),
);

pages.get("/", pageHeaders, (c) => c.html(page("understudy", style(c.get("secureHeadersNonce") ?? ""), front)));
