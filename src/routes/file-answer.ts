// A stored file as an answer; its ETag is its SHA-256.
import { z } from "@hono/zod-openapi";
import type { Context as HonoContext } from "hono";
import type { App } from "../services/context.ts";
import type { Download } from "../services/download.ts";

export const FileName = z.string().regex(/^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$/);

export const FILE_ANSWERS = {
  200: {
    description: "the file",
    content: { "application/octet-stream": { schema: z.string().meta({ format: "binary" }) } },
  },
  304: { description: "If-None-Match names this file" },
};

export function sendFile(c: HonoContext<App>, { file, open }: Download) {
  const etag = `"${file.sha256}"`;
  c.header("ETag", etag);
  if (c.req.header("if-none-match") === etag) return c.body(null, 304);
  c.header("Content-Length", String(file.bytes));
  c.header("Content-Type", "application/octet-stream");
  c.header("Content-Disposition", `attachment; filename="${file.name}"`);
  return c.body(open(), 200);
}
