// The frozen teacher's work, shared between a project's workers under the fence of a live lease.
import { createRoute, z } from "@hono/zod-openapi";
import { requireWorker } from "../middleware/auth.ts";
import { readEntry, storeEntry } from "../services/teacher-cache.ts";
import { Sha256 } from "../wire/common.ts";
import { BYTES, Fence, Owner, announced, workerOf } from "./blobs.ts";
import { ERRORS, guardedBy, newRouter } from "./router.ts";

const DIGEST = "x-content-sha256";

const tags = ["workers"];
const path = "/v1/teacher-cache/{key}";
const params = z.object({ key: Sha256.meta({ description: "SHA-256 of all that determines the entry" }) });
const query = z.strictObject({ owner: Owner, fence: Fence });

const put = createRoute({
  method: "put",
  path,
  tags,
  summary: "Store the teacher's work on one sequence, at most 32 MiB, create-only, under a live lease (worker)",
  ...guardedBy(requireWorker),
  request: {
    params,
    query,
    headers: z.object({ [DIGEST]: Sha256 }),
    body: { required: true, content: { [BYTES]: { schema: z.string() } } },
  },
  responses: { 200: { description: "stored, or there already: nothing is written then" }, ...ERRORS },
});

const get = createRoute({
  method: "get",
  path,
  tags,
  summary: "Read the teacher's work on one sequence; 404 where no worker has stored it (worker)",
  ...guardedBy(requireWorker),
  request: { params, query },
  responses: {
    200: { description: `the bytes; ${DIGEST} is their SHA-256`, content: { [BYTES]: { schema: z.string() } } },
    ...ERRORS,
  },
});

export const teacherCache = newRouter()
  .openapi(put, async (c) => {
    const entry = { ...c.req.valid("param"), ...c.req.valid("query") };
    const sha256 = c.req.valid("header")[DIGEST];
    const bytes = announced(c.req.header("content-length"));
    await storeEntry(workerOf(c), entry, { sha256, body: c.req.raw.body, bytes });
    return c.body(null, 200);
  })
  .openapi(get, async (c) => {
    const { object, sha256 } = await readEntry(workerOf(c), { ...c.req.valid("param"), ...c.req.valid("query") });
    return c.body(object.body, 200, {
      "Content-Type": BYTES,
      "Content-Length": String(object.size),
      [DIGEST]: sha256,
      "Cache-Control": "private, no-store",
    });
  });
