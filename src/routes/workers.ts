// Workers: who is connected, draining one, and the socket through which they dial in.
import { createRoute, z } from "@hono/zod-openapi";
import { requireWorker } from "../middleware/auth.ts";
import { ApiError } from "../errors.ts";
import { connectWorker, drainWorker, listWorkers } from "../services/workers.ts";
import { PageQuery } from "../wire/common.ts";
import { WorkerInfo, WorkerList } from "../wire/jobs.ts";
import { ERRORS, answer, guard, guardedBy, newRouter } from "./router.ts";

const tags = ["workers"];
const path = "/v1/workers";

const list = createRoute({
  method: "get",
  path,
  tags,
  summary: "Connected workers that serve this project",
  ...guard("read"),
  request: { query: PageQuery },
  responses: { 200: answer(WorkerList, "a page of workers"), ...ERRORS },
});

const connect = createRoute({
  method: "get",
  path: `${path}/connect`,
  tags,
  summary: "Where a worker dials in: a WebSocket of the pool's protocol (worker)",
  ...guardedBy(requireWorker),
  responses: { 101: { description: "the socket is open" }, ...ERRORS },
});

const drain = createRoute({
  method: "post",
  path: `${path}/{id}/drain`,
  tags,
  summary: "Let a worker finish what it holds and leave",
  ...guard("admin"),
  request: { params: z.object({ id: z.string().regex(/^[a-z]+_[0-9A-Za-z]{1,64}$/) }) },
  responses: { 200: answer(WorkerInfo, "the worker, draining"), ...ERRORS },
});

export const workers = newRouter()
  .openapi(list, async (c) => c.json(await listWorkers(c.var.ctx, c.req.valid("query")), 200))
  .openapi(connect, (c) => {
    const { caller } = c.var;
    if (caller.kind === "operator") throw new ApiError("forbidden", "Only a worker's key may do this.");
    return connectWorker(c.env, c.req.raw, caller.key.id, caller.project);
  })
  .openapi(drain, async (c) => c.json(await drainWorker(c.var.ctx, c.req.valid("param").id), 200));
