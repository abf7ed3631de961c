import { beforeAll, describe, expect, it } from "vitest";
import { openApiDocument } from "../../src/routes/openapi.ts";
import { call } from "./harness.ts";

/* eslint-disable @typescript-eslint/no-explicit-any -- the document is JSON of many shapes */
const document: any = JSON.parse(JSON.stringify(openApiDocument()));

interface Operation {
  path: string;
  method: string;
  operation: any;
}
const operations: Operation[] = Object.entries<any>(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

function refs(value: unknown): string[] {
  if (value === null || typeof value !== "object") return [];
  const own = "$ref" in value && typeof value.$ref === "string" ? [value.$ref] : [];
  return [...own, ...Object.values(value).flatMap(refs)];
}

describe("the OpenAPI document", () => {
  it("is of version 3.1, served as it is made", async () => {
    expect(document.openapi).toBe("3.1.0");
    expect((await call(null, "GET", "/openapi.json")).body).toEqual(document);
  });

  it("names only what it holds", () => {
    const names = Object.keys(document.components.schemas).map((id) => `#/components/schemas/${id}`);
    expect(refs(document).filter((ref) => !names.includes(ref))).toEqual([]);
  });

  it("keeps the bounds that validation has", () => {
    const { CreateScores, Seed, CreateRun } = document.components.schemas;
    expect(CreateScores.properties.responses).toMatchObject({ minItems: 1, maxItems: 64 });
    expect(CreateScores.additionalProperties).toBe(false);
    expect(Seed).toMatchObject({ minimum: 0, maximum: 4294967295 });
    expect(CreateRun.required).toEqual(["name", "student", "dataset", "objective"]);
  });

  it.each([
    "/v1/scores /v1/preferences /v1/models /v1/datasets /v1/datasets/{id}/rows /v1/runs /v1/runs/{id}/cancel",
    "/v1/runs/{id}/steps /v1/runs/{id}/events /v1/runs/{id}/checkpoints /v1/evaluations /v1/evaluations/{id}/records",
    "/v1/leaderboard /v1/jobs /v1/jobs/{id} /v1/jobs/{id}/retry /v1/workers /v1/workers/{id}/drain /v1/workers/connect",
    "/v1/keys /v1/usage /v1/blobs/{owner}/{sha256} /healthz",
  ])("has %s", (paths) => {
    expect(Object.keys(document.paths)).toEqual(expect.arrayContaining(paths.split(" ")));
  });
});

describe.each(operations)("$method $path", ({ path, method, operation }) => {
  const parameters: any[] = operation.parameters ?? [];

  it("declares each parameter of its path as required", () => {
    const inPath = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
    const declared = parameters.filter((parameter) => parameter.in === "path");
    expect(declared.map(({ name }) => name).sort()).toEqual([...inPath].sort());
    expect(declared.every(({ required }) => required === true)).toBe(true);
  });

  it("has a summary, a tag, an answer and its errors", () => {
    expect(operation.summary).toBeTypeOf("string");
    expect(operation.tags).toHaveLength(1);
    const statuses = Object.keys(operation.responses);
    expect(statuses.some((status) => Number(status) < 300)).toBe(true);
    expect(statuses).toContain("500");
    if (operation.requestBody !== undefined) expect(operation.requestBody.required).toBe(true);
  });

  let answer: Awaited<ReturnType<typeof call>>;
  beforeAll(async () => {
    answer = await call(null, method.toUpperCase(), path.replaceAll(/\{[^}]+\}/g, "x"));
  });
  it("is there, behind a key unless it says otherwise", () => {
    expect(answer.status).toBe(operation.security.length === 0 ? 200 : 401);
  });
});
