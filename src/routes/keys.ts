// Keys: a project's admin makes its own; the operator's secret makes worker keys that all projects share.
import { createRoute, z } from "@hono/zod-openapi";
import type { Context as HonoContext } from "hono";
import { requireOperatorOr } from "../middleware/auth.ts";
import type { App } from "../services/context.ts";
import { createKey, listKeys, revokeKey } from "../services/keys.ts";
import type { KeyOwner } from "../services/keys.ts";
import { PageQuery } from "../wire/common.ts";
import { CreateKey, Deleted, Key, KeyList } from "../wire/jobs.ts";
import { ERRORS, IdempotencyHeaders, answer, guardedBy, jsonBody, newRouter } from "./router.ts";

const Params = z.object({ id: z.string().regex(/^key_[0-9A-Za-z]{1,64}$/) });

const tags = ["keys"];
const path = "/v1/keys";
const guarded = guardedBy(requireOperatorOr("admin"));

const list = createRoute({
  method: "get",
  path,
  tags,
  summary: "Keys that are in force, newest first",
  ...guarded,
  request: { query: PageQuery },
  responses: { 200: answer(KeyList, "a page of keys, without their secrets"), ...ERRORS },
});

const create = createRoute({
  method: "post",
  path,
  tags,
  summary: "Make a key; its secret is in this answer only",
  ...guarded,
  request: { body: jsonBody(CreateKey), headers: IdempotencyHeaders },
  responses: { 200: answer(Key, "the key; a replay has no secret"), ...ERRORS },
});

const remove = createRoute({
  method: "delete",
  path: `${path}/{id}`,
  tags,
  summary: "Revoke a key, within ten seconds everywhere",
  ...guarded,
  request: { params: Params },
  responses: { 200: answer(Deleted, "revoked"), ...ERRORS },
});

const owner = (c: HonoContext<App>): KeyOwner => ({
  env: c.env,
  project: c.var.caller.kind === "operator" ? null : c.var.caller.project,
  idempotencyKey: c.var.idempotencyKey,
});

export const keys = newRouter()
  .openapi(list, async (c) => c.json(await listKeys(owner(c), c.req.valid("query")), 200))
  .openapi(create, async (c) => c.json(await createKey(owner(c), c.req.valid("json")), 200))
  .openapi(remove, async (c) => c.json(await revokeKey(owner(c), c.req.valid("param").id), 200));
