// Records as files: what the exports of both kinds of evaluation share.
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { App } from "../services/context.ts";
import { FORMATS } from "../services/record-files.ts";
import type { ExportFormat } from "../services/record-files.ts";
import { ERRORS, guard } from "./router.ts";

interface Export<P, Q> {
  tags: string[];
  summary: string;
  request: { params: P; query: Q };
}

export const exportRoute = <Path extends string, P extends z.ZodObject, Q extends z.ZodObject>(
  path: Path,
  format: ExportFormat,
  { tags, summary, request }: Export<P, Q>,
) =>
  createRoute({
    method: "get",
    path: `${path}/records.${format}` as const,
    tags,
    summary,
    ...guard("read"),
    request,
    responses: {
      200: { description: "every record, streamed", content: { [FORMATS[format].mediaType]: { schema: z.string() } } },
      ...ERRORS,
    },
  });

export const download = (c: Context<App>, id: string, format: ExportFormat, body: ReadableStream<Uint8Array>) =>
  c.body(body, 200, {
    "Content-Type": FORMATS[format].mediaType,
    "Content-Disposition": `attachment; filename="${id}.records.${format}"`,
  });
