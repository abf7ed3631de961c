// The model registry, in OpenAI's list shape.
import { createRoute, z } from "@hono/zod-openapi";
import { createModel, deleteModel, getModel, listModels } from "../services/model-registry.ts";
import { accepted, preferWait } from "../services/wait.ts";
import { ModelName, PageQuery } from "../wire/common.ts";
import { Deleted } from "../wire/jobs.ts";
import { CreateModel, Model, ModelList } from "../wire/models.ts";
import { ERRORS, IdempotencyHeaders, WaitHeaders, answer, guard, jsonBody, newRouter } from "./router.ts";

const Params = z.object({ model: ModelName });

const tags = ["models"];
const path = "/v1/models";

const list = createRoute({
  method: "get",
  path,
  tags,
  summary: "Registered models, newest first",
  ...guard("read"),
  request: { query: PageQuery },
  responses: { 200: answer(ModelList, "a page of models"), ...ERRORS },
});

const create = createRoute({
  method: "post",
  path,
  tags,
  summary: "Register a Hub revision, a worker's own model, or a pruned copy; a worker loads it once before it is ready",
  ...guard("write"),
  request: { body: jsonBody(CreateModel), headers: IdempotencyHeaders.extend(WaitHeaders.shape) },
  responses: { 200: answer(Model, "ready, or failed"), 202: answer(Model, "queued; see Location"), ...ERRORS },
});

const get = createRoute({
  method: "get",
  path: `${path}/{model}`,
  tags,
  summary: "One model, by id, by name, or a checkpoint such as run_x@120",
  ...guard("read"),
  request: { params: Params },
  responses: { 200: answer(Model, "the model"), ...ERRORS },
});

const remove = createRoute({
  method: "delete",
  path: `${path}/{model}`,
  tags,
  summary: "Delete a model; 409 while something uses it",
  ...guard("write"),
  request: { params: Params },
  responses: { 200: answer(Deleted, "deleted"), ...ERRORS },
});

export const models = newRouter()
  .openapi(list, async (c) => c.json(await listModels(c.var.ctx, c.req.valid("query")), 200))
  .openapi(create, async (c) => {
    const model = await createModel(c.var.ctx, c.req.valid("json"), preferWait(c, 0));
    return model.status === "queued" ? accepted(c, model, `${path}/${model.id}`) : c.json(model, 200);
  })
  .openapi(get, async (c) => c.json(await getModel(c.var.ctx, c.req.valid("param").model), 200))
  .openapi(remove, async (c) => c.json(await deleteModel(c.var.ctx, c.req.valid("param").model), 200));
