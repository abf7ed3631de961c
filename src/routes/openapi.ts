// The OpenAPI 3.1 document, from the schemas that validate.
import { VERSION } from "../config.ts";
import { components } from "../wire/schema.ts";
import { api } from "./api.ts";

const INFO = {
  title: "understudy",
  version: VERSION,
  description:
    "Scores responses by implicit reward, takes distillation steps remotely, and ranks students by exact match. " +
    "Direct Preference Knowledge Distillation, arXiv 2406.19774.",
  license: { name: "Apache-2.0", identifier: "Apache-2.0" },
};

/** Components come from zod's own converter: zod-to-openapi loses bounds, tuple lengths and literals of named schemas. */
export function openApiDocument() {
  const router = api();
  router.openAPIRegistry.registerComponent("securitySchemes", "bearer", { type: "http", scheme: "bearer" });
  const document = router.getOpenAPI31Document({ openapi: "3.1.0", info: INFO, servers: [{ url: "/" }] });
  for (const { post } of Object.values(document.paths ?? {})) {
    // Of two media types only the handler can demand a body; every body is demanded.
    if (post?.requestBody !== undefined && "content" in post.requestBody) post.requestBody.required = true;
  }
  const used = new Set(Object.keys(document.components?.schemas ?? {}));
  const exact = Object.entries(components()).map(([id, schema]) => [id, bare(schema)] as const);
  const schemas = { ...document.components?.schemas, ...reachable(new Map(exact), used) };
  return { ...document, components: { ...document.components, schemas } };
}

/** A component is named by its place: `$schema` and `$id` would make it another document. */
function bare(schema: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== "$schema" && key !== "$id"));
}

/** The named schemas that the routes use, and those that these name in turn. */
function reachable(
  all: Map<string, Record<string, unknown>>,
  used: Set<string>,
): Record<string, Record<string, unknown>> {
  const found: Record<string, Record<string, unknown>> = {};
  const open = [...used];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const schema = all.get(id);
    if (schema === undefined || id in found) continue;
    found[id] = schema;
    for (const [, name] of JSON.stringify(schema).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (name !== undefined) open.push(name);
    }
  }
  return found;
}
