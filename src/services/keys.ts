// Keys of a project, and the operator's worker keys that all projects share.
import { ApiError } from "../errors.ts";
import { database } from "../store/database.ts";
import { listKeys as selectKeys, putKey, revoke } from "../store/keys.ts";
import type { KeyRow } from "../store/keys.ts";
import type { Key, Role } from "../wire/jobs.ts";
import { forget, newSecret } from "./auth.ts";
import { DEFAULT_POOL, poolOf } from "./context.ts";
import type { Project } from "./context.ts";
import type { Env } from "../env.ts";
import { assertSameRequest } from "./idempotency.ts";
import { digest, resourceId, sha256 } from "./identity.ts";
import { page } from "./list.ts";

/** Whose keys: a project's, or the shared ones (null). */
export interface KeyOwner {
  env: Env;
  project: Project | null;
  idempotencyKey: string | null;
}

const keyBody = (row: KeyRow, secret: string | null): Key => ({
  id: row.id,
  object: "key",
  created_at: new Date(row.createdAt).toISOString(),
  name: row.name,
  role: row.role,
  secret,
});

/** `secret` is in this answer only: a replay has null. */
export async function createKey(owner: KeyOwner, body: { name: string; role: Role }): Promise<Key> {
  if (owner.project === null && body.role !== "worker") {
    const message = "role: the operator's secret makes shared worker keys; make other keys with a project's admin key.";
    throw new ApiError("invalid_request", message, { param: "role" });
  }
  const now = Date.now();
  const scope = { ...owner, project: { id: owner.project?.id ?? "operator" } };
  const id = await resourceId(scope, "key", "POST /v1/keys");
  const secret = newSecret(id);
  const secretSha256 = await sha256(secret);
  const requestDigest = await digest(body);
  const row = await putKey(database(owner.env.DB), {
    id,
    project: owner.project?.id ?? null,
    name: body.name,
    role: body.role,
    secretSha256,
    requestDigest,
    createdAt: now,
  });
  assertSameRequest(row, requestDigest, now);
  return keyBody(row, row.secretSha256 === secretSha256 ? secret : null);
}

export async function listKeys(owner: KeyOwner, query: { after?: string | undefined; limit: number }) {
  const rows = await selectKeys(database(owner.env.DB), owner.project?.id ?? null, query.after, query.limit + 1);
  return page(
    rows.map((row) => keyBody(row, null)),
    query.limit,
  );
}

/** Takes effect everywhere within the cache's ten seconds; the pool closes the key's sockets. */
export async function revokeKey(owner: KeyOwner, id: string) {
  if (!(await revoke(database(owner.env.DB), owner.project?.id ?? null, id, Date.now()))) {
    throw new ApiError("not_found", `There is no key ${id}; see GET /v1/keys.`, { param: "id" });
  }
  forget(id);
  await poolOf(owner.env, owner.project?.pool ?? DEFAULT_POOL).revokeKey(id);
  return { id, object: "key", deleted: true as const };
}
