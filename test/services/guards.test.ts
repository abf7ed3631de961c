// What comes late, twice, or in another order leaves D1 and R2 as they are.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { settle } from "../../src/services/settle.ts";
import { putBlob } from "../../src/store/blobs.ts";
import type { OutboxEntry } from "../../src/store/outbox.ts";
import type { Run } from "../../src/wire/runs.ts";
import { TestProject, hash } from "./project.ts";
import { completed } from "./settled.ts";

const unique = (): string => crypto.randomUUID().slice(0, 13);
const created_at = "2026-11-30T00:00:00.000Z";

const statusOf = async (table: string, id: string): Promise<unknown> =>
  (await env.DB.prepare(`SELECT status FROM ${table} WHERE id = ?`).bind(id).first())?.status;

describe("of two revisions D1 keeps the newer", () => {
  const job = (id: string, status: "queued" | "completed", rev: number): OutboxEntry => {
    const rest = { attempts: 1, progress: null, subject: null, retry_of: null, error: null };
    return {
      kind: "job",
      project: "proj_g",
      rev,
      job: { id, object: "job", created_at, kind: "score", status, ...rest },
    };
  };
  const run = (id: string, status: Run["status"], rev: number): OutboxEntry => {
    return { kind: "run", project: "proj_g", rev, run: { id, created_at, status, dataset: "d" } as Run };
  };

  it.each([
    ["job", "jobs", job],
    ["run", "runs", run],
  ] as const)("of a %s", async (kind, table, make) => {
    const id = `${kind}_${unique()}`;
    await settle(env, make(id, "completed", 5));
    await settle(env, make(id, "queued", 4));
    expect(await statusOf(table, id)).toBe("completed");
  });

  it("of an evaluation", async () => {
    const project = await TestProject.create();
    const body = completed("d", 1, "m");
    const entry = (status: "queued" | "cancelled", rev: number): OutboxEntry => {
      return { kind: "evaluation", project: project.id, rev, evaluation: { ...body, status, metrics: null } };
    };
    await settle(env, entry("cancelled", 5));
    await settle(env, entry("queued", 4));
    expect(await statusOf("evaluations", body.id)).toBe("cancelled");
  });
});

it("a blob is written once: what comes later to its key changes nothing", async () => {
  const key = `proj_g/${unique()}/1/${hash("first")}`;
  const bytes = (text: string) => new TextEncoder().encode(text);
  const sha256 = async (text: string): Promise<string> =>
    new Uint8Array(await crypto.subtle.digest("SHA-256", bytes(text))).reduce(
      (text, byte) => text + byte.toString(16).padStart(2, "0"),
      "",
    );
  await putBlob(env.BLOBS, key, bytes("first"), await sha256("first"));
  await putBlob(env.BLOBS, key, bytes("other"), await sha256("other"));
  expect(await (await env.BLOBS.get(key))?.text()).toBe("first");
});
