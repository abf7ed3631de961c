// D1 or the pool is away for a while: the caller is told to come back, and when; it is nobody's mistake.
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { apiErrorOf } from "../../src/services/outage.ts";
import { call, newProject } from "./harness.ts";

const prepare = env.DB.prepare.bind(env.DB);
afterEach(() => {
  env.DB.prepare = prepare;
});

describe("a store that is away", () => {
  it.each([
    "D1_ERROR: Network connection lost.",
    "D1_ERROR: D1 DB is overloaded. Requests queued for too long.",
    "D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.",
    "Cannot resolve D1 DB due to transient issue on remote node.",
  ])("is a 503 with the time to ask again: %s", async (message) => {
    const project = await newProject();
    env.DB.prepare = () => {
      throw new Error(message);
    };
    const answer = await call(project.admin, "GET", "/v1/models");
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "2"]);
    expect(answer.body).toMatchObject({ error: { code: "unavailable", type: "server_error" } });
  });

  it("is not a mistake in a query, which stays a 500", async () => {
    const project = await newProject();
    env.DB.prepare = () => {
      throw new Error("D1_ERROR: no such column: nmae: SQLITE_ERROR");
    };
    expect((await call(project.admin, "GET", "/v1/models")).status).toBe(500);
  });
});

describe("a pool that is reset", () => {
  // What workerd itself throws when a test aborts an object has no mark: these are as the platform documents them.
  it.each([
    Object.assign(new Error("anything"), { retryable: true }),
    Object.assign(new Error("anything"), { overloaded: true }),
    new Error("Durable Object reset because its code was updated."),
    new Error("internal error; reference = 0123"),
    new Error("outer", { cause: new Error("Network connection lost.") }),
  ])("is known by what the platform says: %s", (error) => {
    expect(apiErrorOf(error)).toMatchObject({ status: 503, retryAfter: 2 });
  });

  it("is not a fault in its code", () => {
    const fault = Object.assign(new TypeError("x is undefined"), { durableObjectId: "0123", remote: true });
    expect(apiErrorOf(fault)).toMatchObject({ status: 500, retryAfter: null });
  });
});
