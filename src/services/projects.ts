// Projects: what the operator alone makes, each with its first admin key.
import type { z } from "zod";
import type { Env } from "../env.ts";
import { database } from "../store/database.ts";
import { listProjects as selectProjects, putProject } from "../store/keys.ts";
import type { ProjectRow } from "../store/keys.ts";
import type { CreateProject, Project } from "../wire/jobs.ts";
import { newSecret } from "./auth.ts";
import { DEFAULT_POOL } from "./context.ts";
import { assertSameRequest, refusingTakenName } from "./idempotency.ts";
import { digest, resourceId, sha256, twinId } from "./identity.ts";
import { page } from "./list.ts";

const projectBody = (row: ProjectRow, adminKey: string | null): Project => ({
  id: row.id,
  object: "project",
  created_at: new Date(row.createdAt).toISOString(),
  name: row.name,
  retention_days: row.retentionDays,
  admin_key: adminKey,
});

/** `admin_key` is in this answer only: a replay has null. */
export async function createProject(
  env: Env,
  idempotencyKey: string | null,
  body: z.infer<typeof CreateProject>,
): Promise<Project> {
  const now = Date.now();
  const id = await resourceId({ env, project: { id: "operator" }, idempotencyKey }, "proj", "POST /v1/projects");
  const keyId = twinId("key", id);
  const secret = newSecret(keyId);
  const secretSha256 = await sha256(secret);
  const requestDigest = await digest(body);
  const { project, key } = await refusingTakenName("project", body.name, () =>
    putProject(
      database(env.DB),
      { id, name: body.name, pool: DEFAULT_POOL, retentionDays: body.retention_days, requestDigest, createdAt: now },
      { id: keyId, project: id, name: "admin", role: "admin", secretSha256, requestDigest, createdAt: now },
    ),
  );
  assertSameRequest(project, requestDigest, now);
  return projectBody(project, key.secretSha256 === secretSha256 ? secret : null);
}

export async function listProjects(env: Env, query: { after?: string | undefined; limit: number }) {
  const rows = await selectProjects(database(env.DB), query.after, query.limit + 1);
  return page(
    rows.map((row) => projectBody(row, null)),
    query.limit,
  );
}
