// Projects: the operator's own resource.
import { createRoute } from "@hono/zod-openapi";
import { requireOperator } from "../middleware/auth.ts";
import { createProject, listProjects } from "../services/projects.ts";
import { PageQuery, listOf } from "../wire/common.ts";
import { CreateProject, Project } from "../wire/jobs.ts";
import { ERRORS, IdempotencyHeaders, answer, guardedBy, jsonBody, newRouter } from "./router.ts";

const tags = ["projects"];
const path = "/v1/projects";

const list = createRoute({
  method: "get",
  path,
  tags,
  summary: "Projects, newest first (operator)",
  ...guardedBy(requireOperator),
  request: { query: PageQuery },
  responses: { 200: answer(listOf(Project), "a page of projects"), ...ERRORS },
});

const create = createRoute({
  method: "post",
  path,
  tags,
  summary: "Make a project and its first admin key, shown once (operator)",
  ...guardedBy(requireOperator),
  request: { body: jsonBody(CreateProject), headers: IdempotencyHeaders },
  responses: { 200: answer(Project, "the project"), ...ERRORS },
});

export const projects = newRouter()
  .openapi(list, async (c) => c.json(await listProjects(c.env, c.req.valid("query")), 200))
  .openapi(create, async (c) => c.json(await createProject(c.env, c.var.idempotencyKey, c.req.valid("json")), 200));
