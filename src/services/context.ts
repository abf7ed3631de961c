// What a service is given with each request: bindings, the record, the project's pool, and who asks.
import type { Env, PoolStub } from "../env.ts";
import { database } from "../store/database.ts";
import type { Database } from "../store/database.ts";
import { findProject } from "../store/keys.ts";
import type { Role } from "../wire/jobs.ts";
import { newId } from "./identity.ts";

export interface Project {
  id: string;
  name: string;
  /** Name of the Durable Object that the project lives on. */
  pool: string;
  retentionDays: number | null;
}

export interface Context {
  env: Env;
  db: Database;
  pool: PoolStub;
  project: Project;
  key: { id: string; role: Role };
  requestId: string;
  idempotencyKey: string | null;
}

/** Who asks: the operator's secret, or a key. A worker key that the operator made belongs to no project. */
export type Caller = { kind: "operator" } | { kind: "key"; key: { id: string; role: Role }; project: Project | null };

/** Hono's environment. `ctx` is set wherever a key of a project is required. */
export interface App {
  Bindings: Env;
  Variables: { ctx: Context; caller: Caller; requestId: string; idempotencyKey: string | null };
}

/** The pool that new projects are put on, and that shared worker keys connect to. */
export const DEFAULT_POOL = "default";

export const poolOf = (env: Env, name: string): PoolStub => env.POOL.get(env.POOL.idFromName(name));

/** The context of what the service does by itself; `actor` is the part that does it. */
export const ownContext = (
  env: Env,
  project: Project,
  actor: string,
  idempotencyKey: string | null = null,
): Context => ({
  env,
  db: database(env.DB),
  pool: poolOf(env, project.pool),
  project,
  key: { id: actor, role: "admin" },
  requestId: newId("req"),
  idempotencyKey,
});

/** The context of what follows a settled job; null where the project is gone. */
export async function settlingContext(
  env: Env,
  project: string,
  idempotencyKey: string | null = null,
): Promise<Context | null> {
  const row = await findProject(database(env.DB), project);
  return row === null ? null : ownContext(env, row, "settle", idempotencyKey);
}
