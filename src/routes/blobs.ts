// Blobs of workers: put under a live lease's fence, read by their key.
import { createRoute, z } from "@hono/zod-openapi";
import type { Context as HonoContext } from "hono";
import { requireWorker } from "../middleware/auth.ts";
import { readBlob, storeBlob } from "../services/blobs.ts";
import type { BlobWorker } from "../services/blobs.ts";
import type { App, Caller } from "../services/context.ts";
import { ApiError } from "../errors.ts";
import { BlobStored } from "../wire/blobs.ts";
import { Sha256 } from "../wire/common.ts";
import { ERRORS, answer, guardedBy, newRouter } from "./router.ts";

export const Owner = z.string().regex(/^[0-9A-Za-z_]{1,80}$/);
// No z.coerce: its input is unknown, which the document would call optional.
export const Fence = z
  .string()
  .regex(/^[1-9][0-9]{0,9}$/, "give the lease's fence, an integer from 1")
  .transform(Number);
/** 0 is the fence of what the edge itself stored. */
const StoredFence = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,9})$/)
  .transform(Number);
export const BYTES = "application/octet-stream";

const tags = ["workers"];

const put = createRoute({
  method: "put",
  path: "/v1/blobs/{owner}/{sha256}",
  tags,
  summary: "Store at most 32 MiB, create-only, under the fence of a live lease of the owner (worker)",
  ...guardedBy(requireWorker),
  request: {
    params: z.object({ owner: Owner, sha256: Sha256 }),
    query: z.strictObject({ fence: Fence }),
    body: { required: true, content: { [BYTES]: { schema: z.string() } } },
  },
  responses: { 200: answer(BlobStored, "stored, or there already with the same content"), ...ERRORS },
});

const get = createRoute({
  method: "get",
  path: "/v1/blobs/{project}/{owner}/{fence}/{sha256}",
  tags,
  summary: "Read a blob (worker)",
  ...guardedBy(requireWorker),
  request: {
    params: z.object({ project: Owner, owner: Owner, fence: StoredFence, sha256: Sha256 }),
  },
  responses: { 200: { description: "the bytes", content: { [BYTES]: { schema: z.string() } } }, ...ERRORS },
});

export function workerOf(c: HonoContext<App>): BlobWorker {
  const caller: Caller = c.var.caller;
  if (caller.kind === "operator") throw new ApiError("forbidden", "Only a worker's key may do this.");
  return { env: c.env, key: caller.key.id, project: caller.project };
}

export const announced = (header: string | undefined): number | null =>
  header !== undefined && /^[0-9]{1,15}$/.test(header) ? Number(header) : null;

export const blobs = newRouter()
  .openapi(put, async (c) => {
    const { owner, sha256 } = c.req.valid("param");
    const { fence } = c.req.valid("query");
    const bytes = announced(c.req.header("content-length"));
    return c.json(await storeBlob(workerOf(c), { owner, sha256, fence, body: c.req.raw.body, bytes }), 200);
  })
  .openapi(get, async (c) => {
    const object = await readBlob(workerOf(c), c.req.valid("param"));
    return c.body(object.body, 200, {
      "Content-Type": BYTES,
      "Content-Length": String(object.size),
      "Cache-Control": "private, max-age=31536000, immutable",
    });
  });
