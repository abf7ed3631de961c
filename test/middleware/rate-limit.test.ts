import { describe, expect, it } from "vitest";
import { REQUESTS_PER_MINUTE } from "../../src/config.ts";
import { allow, take } from "../../src/middleware/rate-limit.ts";

describe("a bucket", () => {
  it("gives a minute's requests at once, then one as time passes", () => {
    const bucket = { tokens: REQUESTS_PER_MINUTE, at: 0 };
    for (let i = 0; i < REQUESTS_PER_MINUTE; i++) expect(take(bucket, 0).allowed).toBe(true);
    expect(take(bucket, 0)).toEqual({ allowed: false, remaining: 0, wait: 1 });
    expect(take(bucket, 60_000 / REQUESTS_PER_MINUTE).allowed).toBe(true);
    expect(take(bucket, 60_000 / REQUESTS_PER_MINUTE).allowed).toBe(false);
  });

  it("never holds more than a minute's, and does not lose any when the clock goes back", () => {
    const bucket = { tokens: 5, at: 1_000_000 };
    expect(take(bucket, 0).remaining).toBe(4);
    expect(take(bucket, 10_000_000).remaining).toBe(REQUESTS_PER_MINUTE - 1);
  });

  it("belongs to one caller", () => {
    for (let i = 0; i < REQUESTS_PER_MINUTE; i++) allow("a", 0);
    expect(allow("a", 0).allowed).toBe(false);
    expect(allow("b", 0).allowed).toBe(true);
  });
});
