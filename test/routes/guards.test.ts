// The door's own guards, through the whole app.
import { expect, it } from "vitest";
import { REQUESTS_PER_MINUTE } from "../../src/config.ts";
import { allow } from "../../src/middleware/rate-limit.ts";
import { call, newKey, newProject } from "./harness.ts";

it("a key that has asked as often as it may gets a 429 that says when to come back", async () => {
  const project = await newProject();
  const secret = await newKey(project, "read");
  const { data } = (await call(project.admin, "GET", "/v1/keys")).body;
  const { id } = data.find((key: { role: string }) => key.role === "read");
  // A minute ahead, so that nothing is earned meanwhile.
  const at = Date.now() + 60_000;
  for (let asked = 0; asked < REQUESTS_PER_MINUTE; asked += 1) allow(id, at);
  const answer = await call(secret, "GET", "/v1/models");
  expect(answer).toMatchObject({ status: 429, body: { error: { code: "rate_limited" } } });
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  expect((await call(project.admin, "GET", "/v1/models")).status).toBe(200);
});
